"""From columns of a table to a feature matrix: TF-IDF of a text column, or scaled numeric columns.

Both kinds have the same verbs. In one go: count (raw rows), fitted (learn from some of them), weigh. In batches: learn,
transform. Then keep (only some features), to_layers, from_layers.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import scipy.sparse as sp

from .. import ops
from .scale import ColumnStatistics, unit_length

__all__ = ["TableFeatures", "TextFeatures", "features_from"]

PART_ROWS = 8192  # rows of text that are counted at once
MOST_TERMS = 1 << 20  # remembered while terms are counted: about 200 MB
TOKENS = r"(?u)\b\w+\b|[!?]"  # one-letter words, ! and ? carry sentiment


class TextFeatures:
    """Sublinear TF-IDF of words and pairs of words: (1 + ln tf) (1 + ln((1 + n) / (1 + df))), rows of length 1.

    column: the text column. ngrams: (shortest, longest). min_df: terms in fewer documents are dropped. most: at most so
    many terms, those of highest document frequency (ties in alphabetical order).
    """

    kind = "text"

    def __init__(self, column, *, ngrams=(1, 2), min_df=2, most=None, terms=None, idf=None):
        self.column, self.ngrams, self.min_df, self.most = column, tuple(ngrams), min_df, most
        self.terms, self.idf = terms, idf

    @property
    def columns(self):
        return [self.column]

    @property
    def numeric(self):
        return []

    @property
    def size(self):
        return len(self.terms)

    @property
    def names(self):
        return self.terms

    def learn(self, batches, apply=map):
        """A copy that knows its terms and their weights, from an iterable of {column: array of str}.

        apply: like map, in order; what it applies may go to another process. After a batch that leaves more than
        MOST_TERMS terms the rarest are forgotten, so memory is bounded whatever the file's size: counts are then a
        little low, but a term of many rows is never lost (lossy counting: Manku, Motwani 2002).
        """
        frequency, documents = Counter(), 0
        for found, rows in apply(self.frequencies, batches):
            frequency.update(found)
            documents += rows
            least = 0
            while len(frequency) > MOST_TERMS:
                least += 1
                frequency = Counter({term: count for term, count in frequency.items() if count > least})
        terms = sorted(frequency)
        return self._learned(terms, np.array([frequency[t] for t in terms], np.float64), documents)[0]

    def frequencies(self, batch):
        """(Counter of the rows of this batch in which a term occurs, the number of rows)."""
        analyse, found = self._counter().build_analyzer(), Counter()
        for text in batch[self.column]:
            found.update(set(analyse(text)))
        return found, len(batch[self.column])

    def count(self, batch, apply=map):
        """CSR (rows, terms) of term counts, over the known terms, or else those of min_df rows (which are remembered).

        apply: as in `learn`; it gets the rows in parts of PART_ROWS.
        """
        texts = batch[self.column]
        parts = ({self.column: texts[i : i + PART_ROWS]} for i in range(0, max(1, len(texts)), PART_ROWS))
        if self.terms is not None:
            return _joined(list(apply(self._count_known, parts)))
        found = list(apply(self._count_new, parts))
        terms = sorted(set().union(*(own for own, _ in found)))
        if not terms:
            raise ValueError(f"column {self.column!r} has no words")
        place, counts = {term: i for i, term in enumerate(terms)}, []
        while found:  # a part's terms are sorted as all are: so stay its rows
            own, part = found.pop(0)
            columns = np.fromiter((place[term] for term in own), part.indices.dtype, len(own))
            counts.append(sp.csr_array((part.data, columns[part.indices], part.indptr),
                                       shape=(part.shape[0], len(terms))))
        counts = _joined(counts)
        chosen = np.flatnonzero(np.bincount(counts.indices, minlength=len(terms)) >= self.min_df)
        if 0 < chosen.size < len(terms):  # a term too rare in all rows is too rare in any part of them
            terms, counts = [terms[i] for i in chosen], ops.take_cols(counts, chosen)
        self.terms = terms
        return counts

    def _count_known(self, batch):
        return _numbers(self._counter().transform(batch[self.column]))

    def _count_new(self, batch):
        """(the terms of these rows, sorted; their counts)."""
        counter = self._counter()
        try:
            counts = counter.fit_transform(batch[self.column])
        except ValueError:  # scikit-learn: empty vocabulary
            return [], sp.csr_array((len(batch[self.column]), 0), dtype=np.float64)
        return counter.get_feature_names_out().tolist(), _numbers(counts)

    def fitted(self, counts):
        """(features learned from these rows of counts, the columns of counts they use)."""
        frequency = np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.float64)
        return self._learned(self.terms, frequency, counts.shape[0])

    def weigh(self, counts):
        """CSR of TF-IDF from counts of the same terms."""
        data = (1 + np.log(counts.data)) * self.idf[counts.indices]
        return unit_length(sp.csr_array((data, counts.indices, counts.indptr), shape=counts.shape))

    def transform(self, batch, apply=map):
        """CSR (rows, terms) of TF-IDF."""
        return self.weigh(self.count(batch, apply))

    def keep(self, chosen):
        """The same, for the features `chosen` only; rows then have length 1 over those."""
        return self._with([self.terms[i] for i in chosen], self.idf[chosen])

    def restrict(self, X, chosen):
        """What keep(chosen).transform would give, from X = transform(...)."""
        return unit_length(X[:, chosen])

    def to_layers(self):
        text = "\n".join(self.terms).encode()
        return {"terms": np.frombuffer(text, np.uint8), "idf": self.idf}, {"column": self.column, "ngrams": self.ngrams}

    @classmethod
    def from_layers(cls, layers, facts):
        terms = layers["terms"].tobytes().decode().split("\n") if layers["terms"].size else []
        if len(terms) != layers["idf"].size:
            raise ValueError(f"{len(terms)} terms and {layers['idf'].size} weights")
        return cls(facts["column"], ngrams=facts["ngrams"], terms=terms, idf=layers["idf"])

    def _learned(self, terms, frequency, documents):
        chosen = np.flatnonzero(frequency >= self.min_df)
        if self.most is not None and chosen.size > self.most:
            chosen = np.sort(chosen[np.argsort(-frequency[chosen], kind="stable")[: self.most]])
        if not chosen.size:
            raise ValueError(f"column {self.column!r} has no term in {self.min_df} or more of its {documents} rows")
        idf = 1 + np.log((1 + documents) / (1 + frequency[chosen]))
        return self._with([terms[i] for i in chosen], idf), chosen

    def _with(self, terms, idf):
        return TextFeatures(self.column, ngrams=self.ngrams, min_df=self.min_df, most=self.most, terms=terms, idf=idf)

    def _counter(self):
        try:
            from sklearn.feature_extraction.text import CountVectorizer
        except ImportError as error:
            raise ImportError("text columns need scikit-learn: pip install 'sparsecore[sklearn]'") from error
        known = None if self.terms is None else {term: i for i, term in enumerate(self.terms)}
        return CountVectorizer(token_pattern=TOKENS, ngram_range=self.ngrams, vocabulary=known)


def _numbers(counts):
    X = sp.csr_array(counts, dtype=np.float64)
    X.sort_indices()
    return X


def _joined(parts):
    return parts[0] if len(parts) == 1 else ops.vstack(parts)


class TableFeatures:
    """Numeric columns divided by their largest magnitude ('maxabs') or standard deviation ('std'), or as they are."""

    kind = "table"

    def __init__(self, columns, *, scale="maxabs", divisor=None):
        if scale not in ("maxabs", "std", "none"):
            raise ValueError(f"scale is {scale!r}; numeric columns take 'maxabs', 'std' or 'none'")
        self.columns, self.scale, self.divisor = list(columns), scale, divisor

    @property
    def numeric(self):
        return self.columns

    @property
    def size(self):
        return len(self.columns)

    @property
    def names(self):
        return self.columns

    def learn(self, batches, apply=map):
        """A copy that knows the divisors, from an iterable of {column: array of numbers}."""
        statistics = ColumnStatistics()
        for rows in apply(self.count, batches):
            statistics.add(rows)
        return self._learned(statistics)

    def count(self, batch, apply=map):
        """The columns side by side, as they are."""
        return np.column_stack([np.asarray(batch[c], np.float64) for c in self.columns])

    def fitted(self, rows):
        return self._learned(ColumnStatistics().add(rows)), np.arange(self.size)

    def weigh(self, rows):
        return rows / self.divisor

    def transform(self, batch, apply=map):
        return self.weigh(self.count(batch))

    def keep(self, chosen):
        return TableFeatures([self.columns[i] for i in chosen], scale=self.scale, divisor=self.divisor[chosen])

    def restrict(self, X, chosen):
        return X[:, chosen]

    def to_layers(self):
        return {"divisor": self.divisor}, {"columns": self.columns, "scale": self.scale}

    @classmethod
    def from_layers(cls, layers, facts):
        if len(facts["columns"]) != layers["divisor"].size:
            raise ValueError(f"{len(facts['columns'])} columns and {layers['divisor'].size} divisors")
        return cls(facts["columns"], scale=facts["scale"], divisor=layers["divisor"])

    def _learned(self, statistics):
        divisor = np.ones(self.size) if self.scale == "none" else statistics.divisor(self.scale)
        return TableFeatures(self.columns, scale=self.scale, divisor=divisor)


def features_from(layers, facts):
    """The features that to_layers described."""
    kinds = {"text": TextFeatures, "table": TableFeatures}
    if facts["kind"] not in kinds:
        raise ValueError(f"features of unknown kind {facts['kind']!r}")
    return kinds[facts["kind"]].from_layers(layers, facts)

