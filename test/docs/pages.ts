import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Every page of the documentation, relative to the root. */
export function pages(): readonly string[] {
  const docs = readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  return [
    'README.md',
    ...docs
      .filter((file) => file.endsWith('.md'))
      .map((file) => `docs/${file}`)
      .sort(),
  ];
}

export function textOf(page: string): string {
  return readFileSync(path.join(root, page), 'utf8');
}

/** A piece of a page that is set as code, on one line. */
export interface CodePiece {
  readonly page: string;
  readonly text: string;
}

/** Inline code, and each line of fenced blocks; lines that end in a backslash are joined with the next. */
export function codePieces(page: string): readonly CodePiece[] {
  const text = textOf(page);
  const fenced = [...text.matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)].flatMap((match) =>
    match[1]!.replaceAll(/\\\n\s*/g, ' ').split('\n'),
  );
  const inline = [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`]+)`/g)].map((match) =>
    match[1]!.replaceAll(/\s+/g, ' '),
  );
  return [...fenced, ...inline].map((piece) => ({ page, text: piece.trim() }));
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const headings = [...textOf(page).matchAll(/^#{1,6} (.+)$/gm)].map((match) => match[1]!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}
