/** The same for each of several targets, none of which is to suffer from another. */

/** Does it with each. @throws the first error, once it was done with all */
export function withEach<T>(items: Iterable<T>, act: (item: T) => void): void {
  const errors: unknown[] = [];
  for (const item of items) {
    try {
      act(item);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
