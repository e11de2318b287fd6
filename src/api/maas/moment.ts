/** Moments within objects, as MAAS writes them: ISO with a fraction and without a zone, which is UTC. */
export function isoMoment(at: number): string {
  return new Date(at).toISOString().slice(0, -1);
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Moments of events and addresses: `Fri, 07 Dec. 2018 20:11:08`, UTC. */
export function eventMoment(at: number): string {
  const date = new Date(at);
  const two = (value: number): string => String(value).padStart(2, '0');
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':');
  const day = `${days[date.getUTCDay()]!}, ${two(date.getUTCDate())} ${months[date.getUTCMonth()]!}.`;
  return `${day} ${date.getUTCFullYear()} ${time}`;
}
