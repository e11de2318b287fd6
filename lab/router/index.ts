export * from './boot-server.ts';
export * from './lab-router.ts';
