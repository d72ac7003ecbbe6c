-- What frames say of themselves, without their bodies: those may be megabytes each.
-- KEYS: stream. ARGV: pairs of ids, the first and the last of an interval as XRANGE takes them.
-- Returns id, src, seq, number of events, acct and meta of the entries of each interval, as far as one call may go
-- (about 200 entries or a megabyte): ask again behind the last one, until nothing comes.
-- A frame that does not say how many events it holds has as many as it has lines, if it is not compressed.
local MOST_ENTRIES, MOST_BYTES, PAGE = 200, 1048576, 10

local function events(fields)
  if fields.n then return fields.n end
  if fields.enc and fields.enc ~= 'json' then return '1' end
  local _, lines = string.gsub(fields.body or '', '[^\n]+', '')
  return tostring(lines)
end

local heads = {}
local function add(entry)
  local fields, bytes = {}, 0
  for position = 1, #entry[2], 2 do
    fields[entry[2][position]] = entry[2][position + 1]
    bytes = bytes + #entry[2][position + 1]
  end
  heads[#heads + 1] = {
    entry[1], fields.src or '', fields.seq or '', events(fields), fields.acct or '', fields.meta or ''
  }
  return bytes
end

for position = 1, #ARGV, 2 do
  local start, entries, bytes = ARGV[position], 0, 0
  repeat
    local page = redis.call('XRANGE', KEYS[1], start, ARGV[position + 1], 'COUNT', PAGE)
    for _, entry in ipairs(page) do bytes = bytes + add(entry) end
    entries = entries + #page
    if #page > 0 then start = '(' .. page[#page][1] end
  until #page < PAGE or entries >= MOST_ENTRIES or bytes >= MOST_BYTES
end
return heads
