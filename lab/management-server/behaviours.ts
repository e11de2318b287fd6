/** Faults and oddities that the lab's management server can be told to show; all may be changed while it runs. */
export interface LabBehaviours {
  /** Close new connections before the TLS handshake, like a node in maintenance (4.21+). */
  closeBeforeHandshake: boolean;
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
  /** Class of a command after whose sending the link is dropped; cleared by it. */
  dropAfter: string | null;
}

export function usualBehaviours(): LabBehaviours {
  return {
    closeBeforeHandshake: false,
    refusal: null,
    startupAnswer: 0,
    pingAnswer: 0,
    readyCommands: 2,
    sendStartup: false,
    dropAfter: null,
  };
}
