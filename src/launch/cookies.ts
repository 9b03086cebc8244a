/** Our cookies: HttpOnly, per path; inside an EHR's frame (https) they must be SameSite=None, Secure and partitioned to arrive. */
import type { Request, Response } from 'express';

export function cookieOf(request: Request, name: string): string | null {
  for (const part of (request.get('cookie') ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return null;
}

export interface Cookie {
  readonly name: string;
  /** base64url, so that it needs no encoding. */
  readonly value: string;
  readonly path: string;
  readonly secure: boolean;
}

export function setCookie(response: Response, cookie: Cookie): void {
  const place = cookie.secure ? 'SameSite=None; Secure; Partitioned' : 'SameSite=Lax';
  response.append('Set-Cookie', `${cookie.name}=${cookie.value}; Path=${cookie.path}; HttpOnly; ${place}`);
}
