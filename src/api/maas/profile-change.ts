import type { MachineProfile } from '../../core/machine/profile.ts';
import type { Tx } from '../../core/storage/storage.ts';

type Said = Partial<Pick<MachineProfile, 'zone' | 'domain' | 'tags'>>;

/** Changes what is said about the machines that fit: a name that they carry was changed, or is gone. */
export async function changeProfiles(
  tx: Tx,
  fits: (profile: MachineProfile) => boolean,
  change: Said | ((profile: MachineProfile) => Said),
): Promise<void> {
  for (const profile of await tx.profiles.list())
    if (fits(profile))
      await tx.profiles.save({
        ...profile,
        ...(typeof change === 'function' ? change(profile) : change),
      });
}
