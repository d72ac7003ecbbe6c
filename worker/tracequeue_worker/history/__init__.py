"""Events outside of Redis and Postgres: files that anybody can read, written by `export` and by archiving workers."""
