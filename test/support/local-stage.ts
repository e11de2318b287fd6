import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Stage, type StageOptions } from '../../lab/demo/stage.ts';
import { launchLocally } from './local-service.ts';
import { stageDatabase } from './temp-database.ts';

/** A floor with the real service in this process, rack config and image uploaded, machines commissioned. */
export async function localStage(
  options: Omit<Partial<StageOptions>, 'directory'> = {},
): Promise<{ readonly stage: Stage; readonly close: () => Promise<void> }> {
  const directory = mkdtempSync(path.join(tmpdir(), 'csbm-stage-'));
  const database = await stageDatabase();
  const stage = await Stage.start({
    machines: 1,
    speed: 40,
    imageBytes: 2 ** 20,
    eraseGrade: 'full',
    launch: launchLocally,
    ...options,
    env: { ...database.env, ...options.env },
    directory,
  });
  const close = async (): Promise<void> => {
    await stage.stop();
    await database.release();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await stage.serve();
    await stage.furnish();
  } catch (error) {
    await close();
    throw error;
  }
  return { stage, close };
}
