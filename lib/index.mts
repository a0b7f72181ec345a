// One build, loaded by import as by require: a second copy would double every class and the state behind it.
export { Container, DinghyError, Image, Network, Runtime, Volume, isDinghyError } from './index.js';
export type * from './index.js';
