import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * MariaDB's and MySQL's TEXT ends at 64 KiB, which a sealed rack config or a command's input passes: there every text becomes
 * a MEDIUMTEXT. SQLite knows one kind of text, without an end.
 */
export class WideTexts implements MigrationInterface {
  readonly name = 'WideTexts1764028800000';

  up(runner: QueryRunner): Promise<void> {
    return change(runner, 'MEDIUMTEXT');
  }

  down(runner: QueryRunner): Promise<void> {
    return change(runner, 'TEXT');
  }
}

/** Every text at the time of this migration; a question mark = may be null. */
const texts: Readonly<Record<string, readonly string[]>> = {
  rack_config: ['text'],
  switch: ['password', 'enable_password?', 'uplinks'],
  machine: ['bmc_password?', 'bmc_kg?', 'clean?', 'quarantine?'],
  port_state: ['desired', 'observed?'],
  image: ['aliases'],
  deployment: ['nic_plan', 'first_boot', 'network', 'evidence?'],
  operation: ['input', 'context', 'requester', 'cancel?', 'error?', 'undo_error?', 'result?'],
  step: ['progress?', 'evidence?', 'error?'],
  boot_conversation: ['macs', 'payload', 'activity', 'percent?', 'evidence?', 'inventory?', 'error?'],
  alarm: ['text'],
  pool: ['doors'],
  machine_profile: ['body'],
  api_key: ['secret'],
  record: ['body'],
};

async function change(runner: QueryRunner, type: string): Promise<void> {
  if (!['mariadb', 'mysql'].includes(runner.dataSource.options.type)) return;
  // Each ALTER TABLE is committed by itself, and harmless when it is repeated.
  for (const [table, columns] of Object.entries(texts)) {
    const changes = columns.map((column) => {
      const name = column.replace('?', '');
      return `MODIFY \`${name}\` ${type} ${name === column ? 'NOT NULL' : 'NULL'}`;
    });
    await runner.query(`ALTER TABLE \`${table}\` ${changes.join(', ')}`);
  }
}
