/** What a viewer has chosen: language, theme, period. */

import { type Signal, effect, signal } from "@preact/signals-core";

export const LANGUAGES = ["en", "fr"] as const;
export type Language = (typeof LANGUAGES)[number];
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

function oneOf<T extends string>(values: readonly T[], text: string | null | undefined): T | null {
  return values.find((value) => value === text) ?? null;
}

/** Something that is remembered in this browser. */
export function read(name: string): string | null {
  try {
    return localStorage.getItem(`maicivy.${name}`);
  } catch {
    return null;
  }
}

export function write(name: string, value: string): void {
  try {
    localStorage.setItem(`maicivy.${name}`, value);
  } catch {
    // Storage may be off; the choice then lasts as long as the page.
  }
}

export function forget(name: string): void {
  try {
    localStorage.removeItem(`maicivy.${name}`);
  } catch {
    // Nothing was kept.
  }
}

/** The first of the browser's languages that there is a translation for. */
export function spoken(languages: readonly string[]): Language {
  for (const language of languages) {
    const known = oneOf(LANGUAGES, language.toLowerCase().split("-")[0]);
    if (known) return known;
  }
  return "en";
}

export const language = signal<Language>(oneOf(LANGUAGES, read("language")) ?? spoken(navigator.languages));
export const theme = signal<Theme>(oneOf(THEMES, read("theme")) ?? "system");

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(prefersDark.matches);
prefersDark.addEventListener("change", ({ matches }) => {
  systemDark.value = matches;
});

const prefersStill = matchMedia("(prefers-reduced-motion: reduce)");

/** Whether things had better not move. */
export const still = (): boolean => prefersStill.matches;

/** The colours that are on screen. */
export const colours = signal<"light" | "dark">("light");

/** The browser's own time format of the language: an English reader may be anywhere. */
export function locale(): string {
  return navigator.languages.find((name) => name.toLowerCase().startsWith(language.value)) ?? language.value;
}

/** A list that is remembered in this browser, each item as `parse` reads it. */
export function readList<T>(name: string, parse: (item: unknown) => T | null): T[] {
  try {
    const list: unknown = JSON.parse(read(name) ?? "[]");
    return Array.isArray(list) ? list.map(parse).filter((item) => item !== null) : [];
  } catch {
    return [];
  }
}

/** A choice among a few that is remembered in this browser. */
export function remembered<T extends string>(name: string, values: readonly T[], otherwise: T): Signal<T> {
  const chosen = signal<T>(oneOf(values, read(name)) ?? otherwise);
  effect(() => {
    if (chosen.value !== otherwise || read(name) !== null) write(name, chosen.value);
  });
  return chosen;
}

/** Has choices take effect. */
export function applyPreferences(): void {
  effect(() => {
    document.documentElement.lang = language.value;
  });
  effect(() => {
    const dark = theme.value === "dark" || (theme.value === "system" && systemDark.value);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    colours.value = dark ? "dark" : "light";
  });
}

export function chooseLanguage(chosen: Language): void {
  language.value = chosen;
  write("language", chosen);
}

export function chooseTheme(chosen: Theme): void {
  theme.value = chosen;
  write("theme", chosen);
}
