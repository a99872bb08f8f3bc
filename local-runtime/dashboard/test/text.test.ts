import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { en } from "../src/text/en";
import { formats } from "../src/text/format";
import { fr } from "../src/text/fr";

/** All texts by the path of their keys; functions are asked with numbers small and large. */
function texts(from: object, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of Object.entries(from)) {
    const here = `${path}${name}`;
    if (typeof value === "string") found.set(here, value);
    else if (typeof value === "function") found.set(`${here}()`, [1, 5].map((n) => value(n, "N", "T")).join(" | "));
    else for (const [key, text] of texts(value, `${here}.`)) found.set(key, text);
  }
  return found;
}

test("English and French say the same things", () => {
  const [english, french] = [texts(en), texts(fr)];
  // English has no names of its own for channels, which are English.
  // The server's own words are English.
  const translated = [...french.keys()].filter((key) => !/^values.visit:(channel|source) |^codes\./.test(key));
  expect(translated.sort()).toEqual([...english.keys()].sort());
  for (const [key, text] of [...english, ...french]) if (!key.startsWith("outage.")) expect(text.trim(), key).not.toBe("");
  expect(english.size).toBeGreaterThan(120);
});

test("the server's words have French ones, by their codes", () => {
  const server = readFileSync(new URL("../../../common/src/outcome.rs", import.meta.url), "utf8");
  const codes = [...server.matchAll(/=> "([A-Z_]+)"/g)].map(([, code]) => code);
  expect(codes.length).toBeGreaterThan(20);
  expect(Object.keys(fr.codes).sort()).toEqual(codes.sort());
  // Reasons for which events are not counted: filters, and codes of events.
  const filters = [...server.matchAll(/=> "([a-z_]+)",?$/gm)].map(([, reason]) => reason ?? "").filter((reason) => ["bot", "opt_out", "origin", "ignored"].includes(reason));
  const [, list = ""] = /OF_EVENTS: \[Self; \d+\] = \[([^\]]*)\]/.exec(server) ?? [];
  const ofEvents = [...list.matchAll(/Self::(\w+)/g)].map(([, name = ""]) => name.replace(/(?<!^)[A-Z]/g, "_$&").toUpperCase());
  expect([filters.length, ofEvents.length > 5]).toEqual([4, true]);
  for (const reason of [...filters, ...ofEvents]) expect([en.notCounted[reason], fr.notCounted[reason]], reason).not.toContain(undefined);
});

test("what is translated is not left in English", () => {
  // Names, and words that are the same in both languages.
  const same = new Set(["title", "site", "sites", "page", "api", "type", "segments", "segmentsLabel", "letterTypes.motivation",
    "letterTypes.anti_motivation", "metrics.conversion_rate"]);
  // Words that French shares with English, and codes.
  const shared = /^(tabs|cards|units|dimensions|values|elements|ranges|comparisons)\.|^(change|clicks|outage|zone|about|weeksLater|sourcesNow|readNow)/;
  const french = texts(fr);
  for (const [key, text] of texts(en)) if (!same.has(key) && !shared.test(key)) expect(french.get(key), key).not.toBe(text);
});

test("one and many", () => {
  expect([0, 1, 2].map((count) => en.clicks(count, String(count)))).toEqual(["0 clicks", "1 click", "2 clicks"]);
  expect([0, 1, 2].map((count) => fr.clicks(count, String(count)))).toEqual(["0 clic", "1 clic", "2 clics"]);
});

test("numbers as their readers write them", () => {
  const [british, french] = [formats("en-GB", "UTC"), formats("fr-FR", "UTC")];
  expect(british.number(1_234_567)).toBe("1,234,567");
  expect(french.number(1_234_567).replace(/\s/g, " ")).toBe("1 234 567");
  expect([9_999, 10_000, 1_250_000].map(formats("en-US").short)).toEqual(["9,999", "10K", "1.3M"]);
  expect(british.precise(0.0196)).toBe("2%");
  expect(french.precise(0.1846).replace(/\s/g, " ")).toBe("18,5 %");
  expect([5, 65, 120, 3_725].map(british.duration)).toEqual(["5s", "1m 5s", "2m", "1h 2m"]);
});

test("times are in the viewer's zone, days of figures in UTC", () => {
  const at = Date.parse("2026-01-31T23:30:00Z");
  expect(formats("en-GB", "Europe/Paris").clock(at)).toBe("00:30:00");
  expect(formats("en-GB", "Europe/Paris").dayHere(at)).toBe("Sunday 1 February");
  expect(formats("en-GB", "America/New_York").day("2026-02-01")).toBe("1 Feb");
  expect(formats("fr-FR", "America/New_York").dayLong("2026-02-01")).toBe("dim. 1 févr. 2026");
  expect(formats("en-GB").days("2026-02-01", "2026-02-28")).toBe("February 2026");
  expect(formats("en-GB").days("2025-01-01", "2025-12-31")).toBe("2025");
  expect(formats("en", "Asia/Tokyo").zone()).toBe("Asia/Tokyo");
});

test("how long ago", () => {
  const { ago } = formats("en", "UTC");
  // Units are abbreviated differently by different versions of the same data.
  expect([-5_000, 0, 59_000, 119_000, 3_600_000, 90_000_000].map((ms) => ago(ms).replace(/ ([a-z])[a-z]*\.? /, "$1 "))).toEqual(
    ["0s ago", "0s ago", "59s ago", "1m ago", "1h ago", "1d ago"],
  );
  expect(formats("fr", "UTC").ago(55_000).replace(/\s/g, " ")).toBe("il y a 55 s");
  expect(formats("fr", "UTC").duration(114).replace(/\s/g, " ")).toBe("1 min 54 s");
});
