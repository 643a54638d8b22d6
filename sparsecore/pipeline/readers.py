"""Tables in bounded memory: CSV (plain or .gz) and Parquet, in batches of rows, parsed ahead on all cores.

A reader thread cuts the file into blocks at record ends (a newline with an even number of quotes before it), a pool
parses several blocks at once, and batches come out in order. At most `prefetch` parsed blocks wait, so memory depends
on block and batch size, never on the file's.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import multiprocessing
import os
import queue
import re
import signal
import threading
import zlib
from collections import deque
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

__all__ = ["DataError", "fresh_processes", "labelled", "ordered_map", "prefetched", "read_columns", "table_batches"]

BLOCK = 4 << 20
_LONGEST_RECORD = 64 * BLOCK


class DataError(ValueError):
    """The data file cannot be used as asked; the message names the file and the column."""


def read_columns(path):
    """The names of the columns of a CSV or Parquet file."""
    with _as_data_errors(path):
        if _is_parquet(path):
            return list(_parquet().ParquetFile(path).schema_arrow.names)
        with _opened(path) as handle:
            header = next(csv.reader(io.TextIOWrapper(handle, "utf-8-sig", newline="")), None)
    if not header:
        raise DataError(f"{path} is empty")
    return header


def table_batches(path, *, numeric=(), text=(), batch_size=50_000, prefetch=2, workers=None):
    """Yield {column: array} for `batch_size` rows at a time: float64 for `numeric`, str objects for `text`.

    DataError for a file or column that is missing, a value that is no number, or a gap in a numeric column; OSError if
    the file cannot be opened. workers: parsing threads (default: as many as sparsecore uses).
    """
    from .._threads import get_num_threads

    wanted = list(dict.fromkeys([*numeric, *text]))
    header = read_columns(path)
    for column in wanted:
        if column not in header:
            raise DataError(f"{path} has no column {column!r}; {_what_it_has(column, header)}")
        if header.count(column) > 1:
            raise DataError(f"{path} has {header.count(column)} columns called {column!r}")
    workers = workers or get_num_threads()

    def parse(block):
        with _as_data_errors(path):
            return _columns(block, path, header, numeric, text)

    blocks = prefetched(_guarded(_parquet_blocks(path, wanted) if _is_parquet(path) else _csv_blocks(path), path), 1)
    yield from _regrouped(ordered_map(parse, blocks, workers, prefetch), wanted, batch_size)


def _what_it_has(column, header):
    """The rest of the message that a column is not there: what may have gone wrong."""
    near = difflib.get_close_matches(column.lower(), [name.lower() for name in header], 1)
    like = next((f"; did you mean {name!r}?" for name in header if [name.lower()] == near), "")
    other = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
    if other:
        like = f": fields are to be separated by commas, not by {other!r}"
    names = [repr(name if len(name) <= 30 else name[:27] + "...") for name in header[:20]]
    more = f" and {len(header) - 20} more" if len(header) > 20 else ""
    return f"its first row, which is to name the columns, has {', '.join(names)}{more}{like}"


def labelled(batches, label, path):
    """The same batches; DataError at the first row whose label is missing."""
    rows = 0
    for batch in batches:
        for i, value in enumerate(batch[label]):
            if not value.strip() or value in ("nan", "NaN"):
                raise DataError(f"{path}: row {rows + i + 1} has no label in column {label!r}; fill it, or drop such "
                                "rows")
        rows += len(batch[label])
        yield batch


def prefetched(items, depth):
    """The same items, produced by a thread that stays at most `depth` ahead; its errors are raised here."""
    waiting, stop, end = queue.Queue(maxsize=max(1, depth)), threading.Event(), object()

    def produce():
        try:
            for item in items:
                if not _put(waiting, (item, None), stop):
                    return
            _put(waiting, (end, None), stop)
        except BaseException as error:  # handed over, whatever it is
            _put(waiting, (end, error), stop)

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()
        thread.join()


def ordered_map(function, items, workers, ahead, *, processes=False):
    """function(item) for every item, in order, by `workers` threads or processes; at most workers + ahead wait."""
    pending = deque()
    made = ProcessPoolExecutor(workers, mp_context=fresh_processes()) if processes else ThreadPoolExecutor(workers)
    with made as pool:
        try:
            for item in items:
                with _sheltered():
                    pending.append(pool.submit(function, item))
                if len(pending) >= workers + ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BaseException:
            for process in (getattr(pool, "_processes", None) or {}).values():
                process.terminate()     # nobody waits for the work they have begun
            raise
        finally:
            for future in pending:
                future.cancel()


@contextmanager
def _sheltered():
    """Processes started inside never see the Ctrl-C of a terminal, which goes to all: they would print tracebacks."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fresh_processes():
    """Worker processes that start clean: a fork of a process whose OpenMP threads have run would have one thread."""
    return multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")


def _put(waiting, item, stop):
    while not stop.is_set():
        try:
            waiting.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False


def _csv_blocks(path):
    """Bytes of whole records, without the header."""
    with _opened(path) as handle:
        rest = _after_header(handle)
        while data := handle.read(BLOCK):
            data = rest + data
            cut = _record_end(data)
            if cut == 0 and len(data) > _LONGEST_RECORD:
                raise DataError(f"{path}: a quote is not closed, or a record is longer than {_LONGEST_RECORD} bytes")
            if cut:
                yield data[:cut]
            rest = data[cut:]
        if rest.count(b'"') % 2:
            raise DataError(f"{path}: a quote is not closed")
        if rest.strip():
            yield rest


def _after_header(handle):
    data = b""
    while more := handle.read(BLOCK):
        data += more
        place = -1
        while (place := data.find(b"\n", place + 1)) >= 0:
            if data.count(b'"', 0, place) % 2 == 0:
                return data[place + 1 :]
        if len(data) > _LONGEST_RECORD:
            break
    return b""


def _record_end(data):
    """One past the last newline outside quotes; 0 if there is none."""
    quotes, end = data.count(b'"'), len(data)
    while (place := data.rfind(b"\n", 0, end)) >= 0:
        quotes -= data.count(b'"', place, end)
        if quotes % 2 == 0:
            return place + 1
        end = place
    return 0


def _parquet_blocks(path, wanted):
    for batch in _parquet().ParquetFile(path).iter_batches(batch_size=16384, columns=wanted):
        yield batch.to_pandas()


def _columns(block, path, header, numeric, text):
    if isinstance(block, bytes):
        block = _parse_csv(block, path, header, numeric, text)
    found = {}
    for column in numeric:
        try:
            values = np.asarray(block[column], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(_no_number(path, column, error)) from None
        if not np.isfinite(values).all():
            raise DataError(f"{path}: column {column!r} has missing or infinite values; fill or drop them first")
        found[column] = values
    for column in text:
        if column not in found:
            values = np.asarray(block[column], dtype=object)
            found[column] = np.array([v if isinstance(v, str) else "" if v is None or v != v else str(v)
                                      for v in values], dtype=object)
    return found


def _no_number(path, column, what):
    return (f"{path}: column {column!r} has a value that is no number ({what!s:.80}); a column of text goes with "
            "--text, others are left out by naming the numeric ones: --features")


def _parse_csv(block, path, header, numeric, text):
    """{column: values}, by pyarrow where it is installed (it parses on several cores), else by pandas."""
    types = {**dict.fromkeys(text, "str"), **dict.fromkeys(numeric, "float64")}
    try:
        import pyarrow
        from pyarrow import csv as arrow
    except ImportError:
        return _parse_by_pandas(block, path, header, numeric, types)
    arrow_types = {c: pyarrow.float64() if t == "float64" else pyarrow.string() for c, t in types.items()}
    try:
        table = arrow.read_csv(
            pyarrow.BufferReader(block),
            read_options=arrow.ReadOptions(column_names=header, use_threads=False),
            parse_options=arrow.ParseOptions(newlines_in_values=True),
            convert_options=arrow.ConvertOptions(include_columns=list(types), column_types=arrow_types,
                                                 null_values=[""], strings_can_be_null=False,
                                                 quoted_strings_can_be_null=False),
        )
    except pyarrow.ArrowInvalid as error:
        place = re.search(r"In CSV column #(\d+).*to double: (invalid value .*)", str(error), re.S)
        if place:
            raise DataError(_no_number(path, header[int(place[1])], place[2])) from None
        raise
    return {column: table[column].to_numpy() for column in types}


def _parse_by_pandas(block, path, header, numeric, types):
    pandas = _pandas()
    read = partial(pandas.read_csv, header=None, names=header, usecols=list(types), keep_default_na=False,
                   na_values={c: [""] for c in numeric})
    try:
        frame = read(io.BytesIO(block), dtype=types)
    except UnicodeDecodeError:
        raise
    except ValueError:      # which does not name the column
        frame = read(io.BytesIO(block), dtype="str")
        for column in numeric:
            try:
                pandas.to_numeric(frame[column])
            except ValueError as error:
                what = re.sub(r" at position \d+", "", str(error))     # counted in a part of the file
                raise DataError(_no_number(path, column, what)) from None
        raise
    return {column: frame[column].to_numpy() for column in types}


def _regrouped(parts, columns, rows):
    """Batches of exactly `rows` rows (the last may be shorter), whatever the parts were."""
    held, count = [], 0
    for part in parts:
        size = len(part[columns[0]])
        held.append(part)
        count += size
        while count >= rows:
            joined = {c: np.concatenate([p[c] for p in held]) for c in columns}
            for start in range(0, count - rows + 1, rows):
                yield {c: joined[c][start : start + rows] for c in columns}
            left = count % rows
            held, count = [{c: joined[c][len(joined[c]) - left :].copy() for c in columns}], left
    if count:
        yield {c: np.concatenate([p[c] for p in held]) for c in columns}


@contextmanager
def _opened(path):
    with (gzip.open if str(path).endswith(".gz") else open)(path, "rb") as handle:
        yield handle


def _guarded(blocks, path):
    with _as_data_errors(path):
        yield from blocks


@contextmanager
def _as_data_errors(path):
    """What the parsers raise, as one line that names the file."""
    try:
        yield
    except (DataError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (gzip.BadGzipFile, EOFError, zlib.error, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except ValueError as error:  # pyarrow.ArrowInvalid, pandas.errors.ParserError, UnicodeDecodeError
        if isinstance(error, UnicodeDecodeError) or "invalid UTF8" in str(error):
            raise DataError(f"{path} is not in UTF-8; convert it first, from Latin-1 for example by: "
                            "iconv -f latin1 -t utf-8 OLD > NEW") from error
        what = re.sub(r"\bRow #\d+: ", "", " ".join(str(error).split()))      # counted in a part of the file
        raise DataError(f"{path} cannot be read: {what[:200]}") from error


def _is_parquet(path):
    return Path(path).suffix in (".parquet", ".pq")


def _parquet():
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install 'sparsecore[data]'") from error
    return parquet


def _pandas():
    try:
        import pandas
    except ImportError as error:
        raise ImportError("CSV files need pandas or pyarrow: pip install 'sparsecore[data]'") from error
    return pandas
