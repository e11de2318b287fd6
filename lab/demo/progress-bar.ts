const cells = 30;

/** `[##########....................]  33 %` */
export function progressBar(percent: number): string {
  const bounded = Math.min(100, Math.max(0, percent));
  const full = Math.round((bounded / 100) * cells);
  return `[${'#'.repeat(full)}${'.'.repeat(cells - full)}] ${Math.round(bounded).toString().padStart(3)} %`;
}
