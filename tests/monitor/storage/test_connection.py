import sqlite3
from contextlib import closing

import pytest

from monitor.storage.connection import MAX_VALUE_BYTES, connect, limit_work, unlimit_work

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


def test_a_query_without_an_end_has_one() -> None:
    """A query that takes more work than a file of its size can take ends with an error."""
    with closing(connect(":memory:")) as database:
        limit_work(database, 1000)
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            database.execute(ENDLESS).fetchone()


def test_work_is_unlimited_afterwards() -> None:
    """After that a query may take as much work as it needs."""
    with closing(connect(":memory:")) as database:
        limit_work(database, 0)
        unlimit_work(database)
        bounded = ENDLESS.replace("FROM c)", "FROM c WHERE x < 1000000)")
        assert database.execute(bounded).fetchone() == (1_000_000,)


def test_long_values() -> None:
    """A value that is longer than any of a store is an error, and not memory that is taken."""
    with closing(connect(":memory:")) as database:
        with pytest.raises(sqlite3.Error, match="too big"):
            database.execute("SELECT randomblob(?)", (MAX_VALUE_BYTES + 1,))
        with pytest.raises(sqlite3.Error, match="too many attached"):
            database.execute("ATTACH 'other.db' AS other")


def test_a_text_that_is_no_text() -> None:
    """A text that isn't UTF-8 is returned as its bytes, and the query goes on."""
    with closing(connect(":memory:")) as database:
        rows = database.execute("SELECT CAST(x'ff41' AS TEXT) UNION ALL SELECT 'a'").fetchall()
        assert rows == [(b"\xffA",), ("a",)]
