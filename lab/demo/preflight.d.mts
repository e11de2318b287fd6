/** What the machine is like; null where an old Node cannot tell. */
export interface MachineFacts {
  readonly node: string;
  readonly disks: readonly { readonly folder: string; readonly freeBytes: number }[] | null;
  readonly memoryBytes: number | null;
}

export function judge(facts: MachineFacts): { readonly ok: boolean; readonly sentence: string }[];
