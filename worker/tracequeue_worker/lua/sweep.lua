-- Deletes settled entries that lie behind pending ones, where trimming cannot reach them: a page of those that every
-- group has read, nobody has pending, and that are old enough. One step, as in trim.lua.
-- KEYS: stream, its tally (see look.lua). ARGV: our own group, seconds to keep, '-' or where to go on, entries a page.
-- Returns how many were deleted, and where to go on or ''.
local stream, tally, own, keep, start, most = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local PENDING_AT_MOST = 1000

local groups, wrong = groups_of(stream)
if not groups then return wrong end
local limit, ours
for _, group in ipairs(groups) do
  if not limit or before(group['last-delivered-id'], limit) then limit = group['last-delivered-id'] end
  ours = ours or group.name == own
end
if not ours then return {0, ''} end

local kept_from = string.format('%.0f-0', math.max(0, tonumber(redis.call('TIME')[1]) - keep) * 1000)
local function may_go(id) return keep == 0 or before(id, kept_from) end

local first = redis.call('XRANGE', stream, start, limit, 'COUNT', 1)[1]
if not first or not may_go(first[1]) then return {0, ''} end
local page = redis.call('XRANGE', stream, start, limit, 'COUNT', most)
local last = page[#page][1]

local pending = {}
for _, group in ipairs(groups) do
  local reply = redis.call('XPENDING', stream, group.name, first[1], last, PENDING_AT_MOST)
  for _, one in ipairs(reply) do pending[one[1]] = true end
  if #reply == PENDING_AT_MOST and before(reply[#reply][1], last) then last = reply[#reply][1] end
end

local settled = {}
for _, entry in ipairs(page) do
  local id = entry[1]
  if not pending[id] and may_go(id) and not before(last, id) then settled[#settled + 1] = id end
end
if #settled > 0 then
  local deleted = redis.call('XDEL', stream, unpack(settled))
  for _, group in ipairs(groups) do redis.call('HINCRBY', tally, 'removed:' .. group.name, deleted) end
end
return {#settled, #page == most and '(' .. last or ''}
