// Tasks of a `Pool`.

import type { TaskContext } from '@parallelizer/node';

export const square = (n: number) => n * n;
export const power = (base: number, exponent: number) => base ** exponent;
export async function fetchPage(this: TaskContext, url: string) {
  const response = await fetch(url, { signal: this.signal });
  return response.text();
}
export const greet = (name = 'nobody', ...titles: string[]) => [...titles, name].join(' ');
export const answer = () => 42 as const;
export const limit = 10;
