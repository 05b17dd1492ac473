"""What runs inside Redis: each script is one step that no other client can come between. Lua as text.

The entries of a channel are one Redis stream, so that what decides continuity is lost or evicted as a whole. The id of
an entry is `<offset>-<tag>`; a channel begins with a fence at offset 0, and its last entry is never trimmed. Offsets
have no holes, so an entry is found by its offset. The fields:

    e   epoch
    p   the tag of the entry before
    b   the bytes of all entries before this one, of which the difference of two is what lies between
    d   payload; absent in a fence
    s   1 where the channel is sealed
    k   idempotency key, where there is one

Lua has doubles only: epochs, tags and bytes stay below 2^53 (tags until the year 2255), and are written as "%.0f",
since tostring() would round them. Time is the server's, on which all publishers agree, unless a test sends its own.

The scripts touch KEYS only, which share one slot.
"""

from __future__ import annotations

_TIME = """
-- Return the time in milliseconds: the caller's, or the server's.
local function milliseconds(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
"""

# What publishing and viewing have in common. The first of ARGV:
#   1 milliseconds, or '' for the server's time   2 three random digits for a tag   3 the pub/sub channel
#   4 milliseconds for which an entry is kept, or '' for ever
#   5, 6, 7 epoch, offset and tag of the last position that the caller knows, or ''
_CHANNEL = (
    _TIME
    + """
local OVERHEAD = 100
local key, topic = KEYS[1], ARGV[3]
local now = milliseconds(ARGV[1])
local stamp = now * 1000 + tonumber(ARGV[2])
local max_age = tonumber(ARGV[4])
local known
if ARGV[5] ~= '' then
  known = {epoch = tonumber(ARGV[5]), offset = tonumber(ARGV[6]), tag = tonumber(ARGV[7])}
end

local function text(number) return string.format('%.0f', number) end

-- Return an entry as a table; `item` is what XRANGE gives of it.
local function read(item)
  if not item then return nil end
  local entry = {item = item, id = item[1]}
  for i = 1, #item[2], 2 do entry[item[2][i]] = item[2][i + 1] end
  local offset, tag = string.match(item[1], '^(%d+)-(%d+)$')
  entry.offset, entry.tag = tonumber(offset), tonumber(tag)
  entry.epoch, entry.before = tonumber(entry.e), tonumber(entry.b)
  entry.after = entry.before + OVERHEAD + #(entry.d or '')
  return entry
end

local function last() return read(redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]) end

local function at(offset)
  return read(redis.call('XRANGE', key, text(offset), text(offset), 'COUNT', 1)[1])
end

local function fresh(entry) return not max_age or entry.tag >= (now - max_age) * 1000 end

-- Return the oldest entry for which `ok` holds, as it does for all after it; nil where there is none, and the offset
-- of the oldest that is stored. The fence at offset 0 does not count: it is where a channel begins.
local function oldest(head, ok)
  local entry = read(redis.call('XRANGE', key, '1', '+', 'COUNT', 1)[1])
  if not entry then return nil, head.offset end
  local stored, low, high, found = entry.offset, entry.offset + 1, head.offset, nil
  if ok(entry) then return entry, stored end
  while low <= high do
    local middle = math.floor((low + high) / 2)
    entry = at(middle)
    if ok(entry) then found, high = entry, middle - 1 else low = middle + 1 end
  end
  return found, stored
end

-- A channel that nobody publishes or subscribes to for twice the age of its entries is forgotten. Never before XADD in
-- a script: what comes after a first write is not refused where memory is short.
local function touch()
  if max_age then redis.call('PEXPIRE', key, text(2 * max_age)) end
end

-- Append an entry behind `head`, tell the subscribers, and return it. Pub/sub: four numbers and what it is, then LF and
-- the payload.
local function add(head, epoch, tag, payload, sealed, name)
  local offset, prev, before = 0, 0, 0
  if head then offset, prev, before = head.offset + 1, head.tag, head.after end
  local fields, what = {'e', text(epoch), 'p', text(prev), 'b', text(before)}, '-'
  local function set(field, value) fields[#fields + 1] = field; fields[#fields + 1] = value end
  if payload then set('d', payload) else what = what .. 'f' end
  if sealed then set('s', '1'); what = what .. 's' end
  if name then set('k', name) end
  redis.call('XADD', key, text(offset) .. '-' .. text(tag), unpack(fields))
  touch()
  redis.call('PUBLISH', topic,
    table.concat({text(epoch), text(offset), text(tag), text(prev), what}, ' ') .. '\\n' .. (payload or ''))
  return last()
end

-- Tell whether the channel has gone back in time behind what the caller knows: _history.is_behind.
local function is_behind(head)
  if not known then return false end
  if head.epoch > known.epoch then return known.tag > head.epoch end
  if head.epoch < known.epoch or head.offset < known.offset then return true end
  local entry = at(known.offset)
  return entry ~= nil and entry.tag ~= known.tag
end

-- Return the last entry; first begin a channel that is not there, and fence one that has gone back: begin and fence
-- of _history.
local function ready()
  local head = last()
  if not head then
    local after = known or {epoch = 0, tag = 0}
    return add(nil, math.max(stamp, after.epoch + 1, after.tag + 1), math.max(stamp, after.tag + 1))
  end
  if is_behind(head) then
    local later = math.max(stamp, known.tag + 1, head.tag + 1)
    return add(head, math.max(later, head.epoch + 1, known.epoch + 1), later, nil, head.s)
  end
  return head
end
"""
)

# KEYS: the stream, the record of the idempotency key.
# ARGV: 8 payload   9 idempotency key or ''   10 its record's milliseconds   11 first   12 seal   13 keep ('1' or '')
#       14 entries and 15 bytes that are kept
# Returns what became of it, and epoch, offset and tag of the entry or of the head.
APPEND = (
    _CHANNEL
    + """
local payload, name, first, seal, keep = ARGV[8], ARGV[9], ARGV[11] == '1', ARGV[12] == '1', ARGV[13] == '1'
local max_events, max_bytes = tonumber(ARGV[14]), tonumber(ARGV[15])

local function answer(what, entry) return {what, text(entry.epoch), text(entry.offset), text(entry.tag)} end

local head = ready()

-- The record says which entry it was; that one may be gone, by eviction or by a restore.
if name ~= '' then
  local id = redis.call('GET', KEYS[2])
  local entry = id and read(redis.call('XRANGE', key, id, id)[1])
  if entry and fresh(entry) then return answer('known', entry) end
end
if first and head.offset > 0 then return answer('known', head) end
if head.s then return answer('sealed', head) end

local size = OVERHEAD + #payload
if size > max_bytes then return answer('bytes', head) end
if keep and not seal then
  local entry = oldest(head, fresh)
  if entry and head.after - entry.before + size > max_bytes then return answer('bytes', head) end
  if entry and head.offset - entry.offset + 1 >= max_events then return answer('entries', head) end
end

head = add(head, head.epoch, math.max(stamp, head.tag + 1), payload, seal, name ~= '' and name)
if name ~= '' then redis.call('SET', KEYS[2], head.id, 'PX', ARGV[10]) end

local entry, stored = oldest(head, function(entry)
  return entry.offset > head.offset - max_events and head.after - entry.before <= max_bytes and fresh(entry)
end)
if entry.offset > stored then redis.call('XTRIM', key, 'MINID', entry.id) end
return answer('stored', head)
"""
)

# KEYS: the stream.
# ARGV: 8 the offset from which entries are wanted   9 how many at most   10 bytes at which it ends, with two or more
# Returns the oldest entry or nil, the last one, and those wanted.
VIEW = (
    _CHANNEL
    + """
local head = ready()
touch()
local first = oldest(head, fresh)
local entries, size, count = {}, 0, tonumber(ARGV[9])
local offset = math.max(tonumber(ARGV[8]), first and first.offset or head.offset + 1)
while offset <= head.offset and #entries < count and (#entries < 2 or size < tonumber(ARGV[10])) do
  local entry = at(offset)
  entries[#entries + 1] = entry.item
  size = size + entry.after - entry.before
  offset = offset + 1
end
return {first and first.item or false, head.item, entries}
"""
)

# What tells, of a channel that is silent, whether anything has become of it; it puts off its end, as reading does.
# KEYS: the stream. ARGV: 1 milliseconds for which an entry is kept, or ''. Returns the id of the last entry, or nil.
LOOK = """
if ARGV[1] ~= '' then redis.call('PEXPIRE', KEYS[1], string.format('%.0f', 2 * tonumber(ARGV[1]))) end
local entry = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return entry and entry[1]
"""

EXISTS = "return redis.call('EXISTS', KEYS[1])"

# A lease is "<milliseconds at which it ends> <owner>"; the key's own expiry only cleans up.
_LEASE = (
    _TIME
    + """
local now = milliseconds(ARGV[1])
local ends, holder = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (.*)$')
if ends and tonumber(ends) <= now then holder = nil end
"""
)

# KEYS: the lease. ARGV: 2 owner   3 milliseconds. Returns 1 where the owner holds it now.
HOLD = (
    _LEASE
    + """
if holder and holder ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], string.format('%.0f %s', now + tonumber(ARGV[3]), ARGV[2]), 'PX', ARGV[3])
return 1
"""
)

HOLDER = _LEASE + "return holder or false"

# ARGV: 2 owner.
RELEASE = _LEASE + "if holder == ARGV[2] then redis.call('DEL', KEYS[1]) end"
