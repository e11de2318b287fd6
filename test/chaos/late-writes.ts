/** One connection to the database. */
interface Connection {
  readonly user: string;
  /** What its open transaction has changed so far. */
  wrote: string[];
  /** Ids of instances that its open transaction declares gone, and of the one that it brings in. */
  buries: string[];
  comes: string | null;
}

const entry = /^(?:\d{6}\s+\d+:\d\d:\d\d)?\t\s*(\d+) (Connect|Query|Execute|Quit)\t(.*)$/;
const anew = /^\S*mariadbd, Version: /;

/**
 * Reads the general log of a MariaDB server, in which each process of the service has a user of its own, for what is stored in
 * the name of an instance that others have declared gone (decision 0023). The log has each statement when it arrives. A COMMIT
 * after the one that declares its instance gone is late without any doubt: whoever has locked the instance's row keeps the
 * other one waiting until its own COMMIT has come.
 */
export class LateWrites {
  readonly #connections = new Map<string, Connection>();
  /** The user of each living instance. */
  readonly #users = new Map<string, string>();
  /** Users whose instance is gone, with its id. */
  readonly #gone = new Map<string, string>();
  #rest = '';

  /** What follows in the log. Returns what was stored too late, in words. */
  read(text: string): readonly string[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    return lines.flatMap((line) => this.#line(line) ?? []);
  }

  #line(line: string): string | null {
    // The server was started again: its connections are others.
    if (anew.test(line)) this.#connections.clear();
    const [, id, command, argument] = entry.exec(line) ?? [];
    if (id === undefined) return null;
    const connection = this.#connections.get(id);
    if (command === 'Connect') this.#connects(id, argument!);
    else if (command === 'Quit') this.#connections.delete(id);
    else if (connection) return this.#says(connection, argument!);
    return null;
  }

  #connects(id: string, argument: string): void {
    this.#connections.set(id, { user: argument.split('@')[0]!, wrote: [], buries: [], comes: null });
  }

  #says(connection: Connection, statement: string): string | null {
    if (/^COMMIT$/i.test(statement)) return this.#commit(connection);
    if (/^(BEGIN|ROLLBACK)$/i.test(statement)) over(connection);
    if (!/^(INSERT|UPDATE|DELETE|REPLACE)\b/i.test(statement)) return null;
    connection.wrote.push(statement);
    connection.comes ??= /^INSERT INTO `instance`\(.*?VALUES \('([^']+)'/.exec(statement)?.[1] ?? null;
    const gone = /^UPDATE `instance` SET `state` = 'gone'.* WHERE `id` = '([^']+)'/.exec(statement)?.[1];
    if (gone !== undefined) connection.buries.push(gone);
    return null;
  }

  #commit(connection: Connection): string | null {
    const { user, wrote, buries, comes } = connection;
    over(connection);
    const late = this.#gone.get(user);
    for (const instance of buries) this.#buried(instance);
    if (comes !== null) {
      this.#users.set(comes, user);
      this.#gone.delete(user);
    }
    if (late === undefined || wrote.length === 0) return null;
    const what = wrote.map((one) => one.slice(0, 160)).join('; ');
    return `instance ${late} was declared gone, and stored after that: ${what}`;
  }

  #buried(instance: string): void {
    const user = this.#users.get(instance);
    if (user !== undefined) this.#gone.set(user, instance);
    this.#users.delete(instance);
  }
}

function over(connection: Connection): void {
  Object.assign(connection, { wrote: [], buries: [], comes: null });
}
