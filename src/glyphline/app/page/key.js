// The key (token) of the service: it comes with the address of the QR code, and is kept in this browser.

const NAME = "glyphline-key";

/** Take the key out of the address, so that it is neither shown nor shared. */
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!key) return;
  saveKey(key);
  history.replaceState(null, "", location.pathname + location.search);
}

export const loadKey = () => localStorage.getItem(NAME) ?? "";
export const saveKey = (key) => localStorage.setItem(NAME, key.trim());
export const forgetKey = () => localStorage.removeItem(NAME);
