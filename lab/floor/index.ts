export * from './floor-table.ts';
export * from './lab-floor.ts';
export * from './law-oracle.ts';
