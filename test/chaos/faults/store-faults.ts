import type { FaultKind } from '../fault.ts';

export const storeFaults: readonly FaultKind[] = [
  {
    name: 'database locked',
    weight: 3,
    make: (_draw, { stage }) => ({
      text: 'another connection holds the whole database',
      begin: () => stage.database.lock(),
      end: () => stage.database.unlock(),
    }),
  },
  {
    name: 'database full',
    weight: 3,
    needs: 'sqlite',
    make: (draw, { stage }) => {
      const room = draw.pick([0, 4_096, 65_536]);
      return {
        text: `no file of the service's may grow by more than ${room} bytes over the database's size`,
        begin: () => stage.database.limit(room),
        end: () => stage.database.unlimit(),
      };
    },
  },
  {
    name: 'database gone for a while',
    weight: 4,
    needs: 'mariadb',
    make: (_draw, { stage }) => ({
      text: 'the database server is killed',
      begin: () => stage.database.crash(),
      end: () => stage.database.recover(),
    }),
  },
  {
    name: 'database frozen',
    weight: 3,
    needs: 'mariadb',
    make: (_draw, { stage }) => ({
      text: 'the database server stands still',
      begin: () => stage.database.freeze(),
      end: () => stage.database.thaw(),
    }),
  },
  {
    name: 'database drops connections',
    weight: 3,
    needs: 'mariadb',
    make: (_draw, { stage }) => ({
      text: 'every connection of the service to the database is cut',
      begin: () => stage.database.cutConnections(),
      end: () => undefined,
    }),
  },
];
