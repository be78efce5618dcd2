/** Choices that stay in the browser. Where it stores nothing, they last as long as the page. */
export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`perminute.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`perminute.${name}`, value);
  } catch {
    // The browser stores nothing.
  }
}
