-- How a key that is ours is typed as if it were not: its old mapping, or its own meaning.
local M = {}
local api = vim.api

--- That mapping, of those given, whose key is `key`.
function M.find(mappings, key)
  key = vim.keycode(key)
  return vim.iter(mappings):find(function(mapping) return mapping.lhsraw == key or mapping.lhsrawalt == key end)
end

--- What stands for the key itself, mapped no further.
local function bare(action) return ('<Plug>(tinycopilot-bare-%s)'):format(action) end

local typed = {} ---@type table<string, string> the key as it was typed last, by action

--- What an `<expr>` mapping comes to. As in Neovim itself, where that begins with the mapping's key, this first one is
--- not mapped again: it would be ours again, and never end. Its keys may be names still, as in '<Tab>'.
function M.once(action, result, has_names)
  if type(result) ~= 'string' then return result end
  local key, keys = typed[action], has_names and vim.keycode(result) or result
  return vim.startswith(keys, key) and vim.keycode(bare(action)) .. keys:sub(#key + 1) or keys
end

--- Changes `mapping`, an `<expr>` whose result may be mapped further, so that it comes to what `once` says.
local function map_once(mapping, action, key)
  local call, has_names = mapping.callback, mapping.replace_keycodes == 1
  vim.keymap.set('i', bare(action), key)
  mapping.replace_keycodes = nil
  if call then
    mapping.callback = function() return M.once(action, call(), has_names) end
  else
    local words = "v:lua.require'tinycopilot.old_keys'.once('%s', %s, v:%s)"
    mapping.rhs = words:format(action, mapping.rhs, has_names)
  end
end

--- Types `key` as if it were not ours. `own` is the buffer's mapping that ours hides, if it had one; a mapping for all
--- buffers is looked up now, since it may be younger. It is copied under a name, and typing the name is typing the key.
function M.type(action, key, own)
  local mapping = own or M.find(api.nvim_get_keymap('i'), key)
  if not mapping then return api.nvim_feedkeys(vim.keycode(key), 'in', false) end
  typed[action] = vim.keycode(key)
  if mapping.expr == 1 and mapping.noremap == 0 then
    map_once(mapping, action, key)
  elseif vim.startswith(vim.keycode(mapping.rhs or ''), typed[action]) then
    mapping.noremap = 1 -- or it never ends
  end
  local name = ('<Plug>(tinycopilot-not-%s)'):format(action)
  mapping.lhs, mapping.lhsraw, mapping.lhsrawalt = name, vim.keycode(name), nil
  vim.fn.mapset('i', false, mapping)
  api.nvim_feedkeys(vim.keycode(name), 'im', false)
end

return M
