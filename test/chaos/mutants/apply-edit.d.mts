import type { Edit } from './mutant.ts';

export function matches(source: string, edit: Edit): number;
export function applyEdit(source: string, edit: Edit): string;
