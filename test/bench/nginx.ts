import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import { BenchSkipped } from './bench.ts';
import { freeTcpPort } from '../support/free-port.ts';

export interface Nginx {
  readonly url: string;
  readonly pid: number;
  readonly version: string;
  readonly stop: () => Promise<void>;
}

/** The system folders are where administrators' programs live, and not in every user's PATH. */
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

/** nginx with a configuration, port and folder of its own, tuned for large files, serving this one. */
export async function startNginx(file: string): Promise<Nginx> {
  const version = nginxVersion();
  const folder = mkdtempSync(join(tmpdir(), 'csbm-nginx-'));
  const port = await freeTcpPort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  // Its workers drop root's rights where they have them, and could not read a private folder then.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${user}
daemon off;
worker_processes auto;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 512; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port};
    location = /image { alias ${file}; }
  }
}
`,
  );
  const child = spawn('nginx', ['-p', folder, '-e', `${folder}/error.log`, '-c', `${folder}/nginx.conf`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}/image`;
  try {
    await until(
      async () => (await fetch(url, { method: 'HEAD' }).catch(() => null))?.status === 200,
      'nginx',
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pid: child.pid!, version, stop };
}

function nginxVersion(): string {
  try {
    return execFileSync('/bin/sh', ['-c', 'nginx -v 2>&1'], { env, encoding: 'utf8' }).trim();
  } catch {
    throw new BenchSkipped('apt-get install nginx-light');
  }
}
