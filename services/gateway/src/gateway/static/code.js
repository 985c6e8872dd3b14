// What a scanned code is: the address of an invoice of ours, or anything else, which is never opened.

const TOKEN_PATH = /^\/q\/([A-Za-z0-9_-]{22,64})\/?$/;

/**
 * Return `{kind, …}`: `invoice` with its path, `foreign` with the host that the code leads to, or
 * `elsewhere`, `transfer`, `datamatrix`, `other`.
 *
 * Only the parsed address counts, never how the text begins: what stands before an `@`, or looks like
 * our name and is not, is another host. Hosts are told in ASCII (`xn--…`), so that letters which look
 * alike show themselves.
 */
export function judge(text, format, origins) {
  if (format === "data_matrix") return { kind: "datamatrix" };
  const content = text.trim();
  // EPC069-12: the first line of a code that prepares a transfer.
  if (/^BCD\r?\n/.test(content)) return { kind: "transfer" };
  const url = parsed(content);
  if (!url) return { kind: "other" };
  if (!origins.includes(url.origin) || url.username || url.password) {
    return { kind: "foreign", host: url.host };
  }
  const token = TOKEN_PATH.exec(url.pathname)?.[1];
  return token ? { kind: "invoice", path: `/q/${token}` } : { kind: "elsewhere" };
}

function parsed(text) {
  // Without a scheme it is still an address for a telephone that offers to open it.
  const isBare = /^[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?(\/|$)/i.test(text);
  try {
    const url = new URL(isBare ? `https://${text}` : text);
    return ["http:", "https:"].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}
