/**
 * The same function, but whatever it throws ends here: a page must not notice that it is
 * measured, least of all by an exception.
 */
export const safe =
  <Arguments extends unknown[]>(run: (...args: Arguments) => void) =>
  (...args: Arguments): undefined => {
    try {
      run(...args);
    } catch {
      // An event that cannot be told is not told.
    }
  };
