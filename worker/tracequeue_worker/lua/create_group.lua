-- Creates a group at the beginning of a stream, which is made if need be. KEYS: stream. ARGV: group.
-- It is done although memory is full: else nobody could read, and so free, what fills it. XTRIM, which removes nothing
-- here, is what allows a script to write then.
redis.call('XTRIM', KEYS[1], 'MINID', '0-0')
return redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
