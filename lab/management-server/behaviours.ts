/** Management servers as a server tells them to its agents. */
export interface LabServerList {
  readonly hosts: readonly string[];
  /** Told with PingAnswers too. */
  readonly avoid: readonly string[];
  readonly algorithm: 'static' | 'roundrobin' | 'shuffle';
  /** Seconds; 0 = agents do not look for their preferred server. */
  readonly checkInterval: number;
}

/** Faults and oddities that the lab's management server can be told to show; all may be changed while it runs. */
export interface LabBehaviours {
  /** Close new connections before the TLS handshake, like a node in maintenance (4.21+). */
  closeBeforeHandshake: boolean;
  /** Where certificates are demanded: take expired ones too (`ca.plugin.root.allow.expired.cert`, true in a fresh installation). */
  allowExpired: boolean;
  /** Refuse hosts with this text, or null. */
  refusal: string | null;
  /** Milliseconds before the StartupAnswer, or `never`. */
  startupAnswer: number | 'never';
  /** Milliseconds before a PingAnswer, or `never`. */
  pingAnswer: number | 'never';
  /** How many ReadyCommands a new host gets: the real server sends two. */
  readyCommands: number;
  /** The next PingAnswer asks for a fresh Startup; cleared by it. */
  sendStartup: boolean;
  /** The management servers that ReadyCommand tells, from the second one on; hosts only. */
  servers: LabServerList;
  /** Class of a command after whose sending the link is dropped; cleared by it. */
  dropAfter: string | null;
}

export function usualBehaviours(): LabBehaviours {
  return {
    closeBeforeHandshake: false,
    allowExpired: true,
    refusal: null,
    startupAnswer: 0,
    pingAnswer: 0,
    readyCommands: 2,
    sendStartup: false,
    servers: { hosts: ['127.0.0.1'], avoid: [], algorithm: 'static', checkInterval: 0 },
    dropAfter: null,
  };
}
