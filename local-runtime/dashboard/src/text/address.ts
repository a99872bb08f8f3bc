/** Addresses as people read them. What is sent and compared stays as it is stored. */

/** Controls, invisible and reordering characters, separators other than a space, and halves of characters. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}]|(?! )\p{Zs}/gu;

/** Escapes that mean something else when they are decoded: `/`, `?`, `#`, `%`, `&`. */
const MEANT = /%(?:2[356F]|3F)/i;

/** Text of a sender, with what cannot be seen, or would reorder what is seen, written as escapes. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (letter) =>
    Array.from(new TextEncoder().encode(letter), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/** An address with its escapes decoded, as far as they are letters. */
export function readable(address: string): string {
  const decoded = address.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) =>
    (escapes.match(/(?:%[0-7][0-9a-f])|(?:%[89a-f][0-9a-f])+/gi) ?? []).map(letters).join(""),
  );
  return visible(decoded);
}

function letters(escapes: string): string {
  if (MEANT.test(escapes)) {
    return escapes;
  }
  try {
    return decodeURIComponent(escapes);
  } catch {
    // Bytes of another encoding than UTF-8.
    return escapes;
  }
}
