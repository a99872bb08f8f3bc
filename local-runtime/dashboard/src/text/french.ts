import type { Messages } from "./en";

/** The words in French, which only their readers load. */
export const french = async (): Promise<Messages> => (await import("./fr")).fr;
