-- What the server says of a stream and of one of its groups; a prelude to the scripts that reckon with it.

-- Whether an entry id comes before another. As text, because a number of Lua has not enough digits.
local function before(one, other)
  local function parts(id) return string.match(id, '^(%d+)%-(%d+)$') end
  local function less(left, right)
    if #left ~= #right then return #left < #right end
    return left < right
  end
  local time, number = parts(one)
  local other_time, other_number = parts(other)
  if time ~= other_time then return less(time, other_time) end
  return less(number, other_number)
end

local function named(flat)
  local facts = {}
  for position = 1, #flat, 2 do facts[flat[position]] = flat[position + 1] end
  return facts
end

-- The groups of a stream, none where the stream is missing; or nil and the error.
local function groups_of(stream)
  local reply = redis.pcall('XINFO', 'GROUPS', stream)
  if reply.err then
    if string.find(reply.err, 'no such key', 1, true) then return {} end
    return nil, reply
  end
  local groups = {}
  for index, flat in ipairs(reply) do groups[index] = named(flat) end
  return groups
end

-- A stream and a group: `added` (nil before Redis 7.0), `length`, `first` and `last` present entry or nil, `deleted`
-- (the highest id ever deleted by XDEL), `group` (whether it is there), `delivered` (its last id), `pending`, `consumers`
-- and `lag` (nil before Redis 7.0, and where the server does not know).
-- Or nil and the error.
local function facts_of(stream, group)
  local facts = {added = 0, length = 0, deleted = '0-0', group = false, delivered = '0-0', pending = 0, consumers = 0}
  local reply = redis.pcall('XINFO', 'STREAM', stream)
  if reply.err then
    if string.find(reply.err, 'no such key', 1, true) then return facts end
    return nil, reply
  end
  local known = named(reply)
  facts.added, facts.length = known['entries-added'], known['length']
  facts.deleted = known['max-deleted-entry-id'] or '0-0'
  facts.first, facts.last = (known['first-entry'] or {})[1], (known['last-entry'] or {})[1]
  local groups, wrong = groups_of(stream)
  if not groups then return nil, wrong end
  for _, one in ipairs(groups) do
    if one.name == group then
      facts.group, facts.delivered, facts.pending = true, one['last-delivered-id'], one.pending
      facts.consumers, facts.lag = one.consumers, one.lag or nil
    end
  end
  return facts
end

-- How many entries are unread, where that needs no counting; else nil.
local function unread_at_a_glance(facts)
  if facts.length == 0 or not before(facts.delivered, facts.last) then return 0 end
  if before(facts.delivered, facts.first) then return facts.length end
  return nil
end

-- How many entries lie between two ids, or nil where they are more than `most`. Small pages: bodies pass through memory.
local function count_between(stream, first, last, most)
  local counted, start = 0, first
  while counted <= most do
    local page = redis.call('XRANGE', stream, start, last, 'COUNT', 50)
    counted = counted + #page
    if #page < 50 then return counted end
    start = '(' .. page[#page][1]
  end
  return nil
end

-- Whether an entry that was once added is still in the stream; its body passes through memory only in doubt.
local function is_there(stream, facts, id)
  if facts.length == 0 or before(id, facts.first) then return false end
  return (facts.added and before(facts.deleted, id)) or #redis.call('XRANGE', stream, id, id) > 0
end
