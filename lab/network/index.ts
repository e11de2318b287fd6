export * from './fabric.ts';
export * from './flood.ts';
export * from './frame.ts';
export * from './topology.ts';
