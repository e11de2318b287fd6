import { isIP } from 'node:net';
import { z } from 'zod';
import {
  choice,
  duration,
  flag,
  optionalPath,
  optionalSecret,
  path,
  port,
  settingFacts,
  text,
} from '../setting.ts';
import { bothOrNone } from './tls.ts';

const connectionsRemedy = 'write a whole number from 2 to 200';

const tls = z
  .strictObject({
    enabled: flag('Whether to use TLS, and nothing else, to the server', false),
    caFile: optionalPath(
      "CA certificate (PEM) that signed the server's; absent = the authorities that Node knows",
    ),
    certFile: optionalPath('Client certificate (PEM), where the server asks for one'),
    keyFile: optionalPath('Private key (PEM) of the client certificate'),
  })
  .superRefine(bothOrNone)
  .prefault({});

const mariadb = z
  .strictObject({
    socket: optionalPath('Socket of a server on this machine, instead of host and port'),
    host: text('Name or address of the server: one that takes writes', '127.0.0.1'),
    port: port('Its TCP port', 3306),
    database: text('Name of the database: csbm needs one of its own, empty at first', 'csbm'),
    user: text('User of the database', 'csbm'),
    password: optionalSecret('Password of that user, for example env:CSBM_DATABASE_PASSWORD'),
    tls,
    connections: z
      .int(connectionsRemedy)
      .min(2, connectionsRemedy)
      .max(200, connectionsRemedy)
      .default(10)
      .register(settingFacts, {
        kind: 'whole number',
        meaning: 'Connections to the server, at most: as many transactions at once',
        default: '10',
      }),
    connectTimeout: duration('How long a connection may take to be made', '10s'),
    lockWait: duration(
      'How long a transaction waits for a row that another one holds, in whole seconds',
      '5s',
    ),
    patience: duration('How long a server that does not answer is tried again before that is told', '30s'),
    migrationWait: duration('How long another instance may take to bring the schema up to date', '5m'),
  })
  .superRefine((value, context) => {
    if (!value.tls.enabled || value.socket !== undefined || isIP(value.host) === 0) return;
    context.addIssue({
      code: 'custom',
      path: ['host'],
      params: { what: 'is an address, which certificates of database servers hardly ever name' },
      message: "write the server's name as its certificate has it",
    });
  })
  .prefault({});

export const storeSection = z.strictObject({
  type: choice('Kind of database', ['sqlite', 'mariadb'], 'sqlite'),
  file: path('SQLite: the database file; one process uses it at a time', 'csbm.sqlite'),
  mariadb,
});
