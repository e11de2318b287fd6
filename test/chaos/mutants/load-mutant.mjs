/**
 * `node --import` of this file, with a mutant's edits as JSON in CSBM_CHAOS_MUTANT: modules of the build are changed while they
 * are loaded. Nothing on the disk changes, and nothing in the service knows of it.
 */
import { register } from 'node:module';

const edits = JSON.parse(process.env['CSBM_CHAOS_MUTANT'] ?? '[]');
if (edits.length > 0) register('./mutant-hooks.mjs', import.meta.url, { data: edits });
