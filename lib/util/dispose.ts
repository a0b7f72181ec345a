// Node 20 adds the symbol to its own realm only; Jest runs tests in another one, where the compiled `await using` of a user
// looks for the registered symbol.
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
