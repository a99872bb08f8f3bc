/** Makes each thing once, when it is needed first: formats of dates and numbers take a slow machine milliseconds each. */
export function kept<Options, Made>(make: (options: Options) => Made): (options: Options) => Made {
  const all = new Map<string, Made>();
  return (options) => {
    const key = JSON.stringify(options);
    const made = all.get(key) ?? make(options);
    all.set(key, made);
    return made;
  };
}
