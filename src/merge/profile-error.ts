/** The one error that a bad profile raises. */
import { CgoprofError } from '../errors.js';

/** A profile that cannot be used; `message` is `source: reason`. */
export class ProfileError extends CgoprofError {
  /**
   * @param source Which profile: a path, an address.
   * @param why One clause: what is wrong with it.
   */
  constructor(source: string, why: string, hint = '') {
    super({ what: source, why, hint });
  }
}
