/** Longest piece of an answer that goes into an error. */
const maxText = 300;

/**
 * What an answer that is an error says, as one short line. MAAS's own are plain text or JSON lists of complaints by field; pages
 * of proxies are HTML, of which the title says enough. MAAS answers a wrong signature with the text that should have been
 * signed, which is the secret: nothing behind "base string" is kept.
 * @param hidden texts that must not be shown
 */
export function answerText(contentType: string, body: string, hidden: readonly string[]): string {
  const looksHtml = /html/i.test(contentType) || /^\s*<(!doctype|html|head|body)\b/i.test(body);
  const text = looksHtml ? htmlText(body) : /json/i.test(contentType) ? jsonText(body) : body;
  const shown = hidden
    .filter((secret) => secret.length >= 3)
    .reduce((line, secret) => line.replaceAll(secret, '***'), text)
    .replace(/(base string)\b.*$/is, '$1 ***')
    // eslint-disable-next-line no-control-regex -- they are what must not reach a terminal or a log
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ')
    .trim();
  return shown.length > maxText ? `${shown.slice(0, maxText)}...` : shown;
}

/** The title of a page, else its text without tags; a wrong signature's 401 is "HTML" without any tag. */
function htmlText(body: string): string {
  const title = /<title[^>]*>([^<]*)<\/title>/i.exec(body)?.[1]?.trim();
  if (title) return `a web page titled "${title}"`;
  return body
    .slice(0, 20_000)
    .replaceAll(/<(script|style)\b.*?<\/\1>/gis, ' ')
    .replaceAll(/<[^>]*>/g, ' ');
}

function jsonText(body: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return body;
  }
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map((item) => scalar(item)).join('; ');
  if (typeof value !== 'object' || value === null) return scalar(value);
  return Object.entries(value)
    .map(([field, complaints]) => {
      const text = Array.isArray(complaints) ? complaints.map(scalar).join(' ') : scalar(complaints);
      return field === '__all__' ? text : `${field}: ${text}`;
    })
    .join('; ');
}

function scalar(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
