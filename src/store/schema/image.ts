import type { Image } from '../../core/image/image.ts';
import { bigint, flag, int, json, key, renamed, string, table } from './columns.ts';

export interface ImageRow {
  name: string;
  canBond: boolean;
  firstBoot: Image['firstBoot'];
  rawBytes: number;
  encoding: Image['encoding'];
  storedBytes: number;
  sha256: string;
  aliases: readonly string[];
  file: string;
  createdAt: number;
  version: number;
}

export const imageSchema = table<ImageRow>({
  name: 'image',
  columns: {
    name: key(string(128)),
    canBond: renamed('can_bond', flag()),
    firstBoot: renamed('first_boot', string(16)),
    rawBytes: renamed('raw_bytes', bigint()),
    encoding: string(16),
    storedBytes: renamed('stored_bytes', bigint()),
    sha256: string(64),
    aliases: json(),
    file: string(255),
    createdAt: renamed('created_at', bigint()),
    version: int(),
  },
});
