/** How a period that is still running stands against the whole one before it. */

export interface Pace {
  /** This period's part of the one before; 1 and more when it has been reached. */
  share: number;
  /** Whether more was reached so far than the part of the period that has passed. */
  ahead: boolean;
}

/** The pace, or null when there is nothing to compare with. */
export function pace(current: number, before: number, elapsed: number): Pace | null {
  if (before <= 0) return null;
  const share = current / before;
  return { share, ahead: share >= elapsed };
}
