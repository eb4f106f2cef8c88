declare module "blake2" {
  interface Hash {
    update(data: Buffer): this;
    digest(encoding: "hex"): string;
  }
  export function createHash(algorithm: "blake2b", options: { digestLength: number }): Hash;
}
