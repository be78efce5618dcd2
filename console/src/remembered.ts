/** Choices that stay in the browser, and texts that stay in the tab. Where the browser stores nothing,
 * they last as long as the page. */
export function remembered(name: string): string | null {
  return stored(() => localStorage.getItem(`perminute.${name}`));
}

export function remember(name: string, value: string): void {
  stored(() => localStorage.setItem(`perminute.${name}`, value));
}

export function keptInTab(name: string): string | null {
  return stored(() => sessionStorage.getItem(name));
}

/** Keep a text in the tab; null removes it. */
export function keepInTab(name: string, value: string | null): void {
  stored(() => (value === null ? sessionStorage.removeItem(name) : sessionStorage.setItem(name, value)));
}

/** Remove the texts of the tab whose name fits. */
export function forgetInTab(fits: (name: string) => boolean): void {
  stored(() => Object.keys(sessionStorage).filter(fits).forEach((name) => sessionStorage.removeItem(name)));
}

function stored<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null; // the browser stores nothing
  }
}
