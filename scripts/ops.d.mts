export interface Paper {
  /** Authors and year, or the number where the comment names no authors. */
  readonly title: string;
  /** Its number on arXiv. */
  readonly id?: string;
}

export interface OpSummary {
  readonly name: string;
  readonly description: string;
  readonly papers: readonly Paper[];
}

export interface Family {
  readonly family: string;
  readonly ops: readonly OpSummary[];
}

export function families(): Family[];
