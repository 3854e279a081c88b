-- Do what a key did before we mapped it: run its earlier mapping, or type the key itself.
local M = {}
local api = vim.api

--- Returns the mapping of `key` in `mappings`.
function M.find(mappings, key)
  key = vim.keycode(key)
  return vim.iter(mappings):find(function(mapping) return mapping.lhsraw == key or mapping.lhsrawalt == key end)
end

--- Returns a <Plug> name that stands for the key itself, not mapped again.
local function bare(action) return ('<Plug>(tinycopilot-bare-%s)'):format(action) end

local typed = {} ---@type table<string, string> the last key typed, by action

--- Returns the keys that an `<expr>` mapping returns. As in Neovim, if they start with the mapping's own key, that key
--- is not mapped again, to avoid endless recursion. The result may contain key names, such as '<Tab>'.
function M.once(action, result, has_names)
  if type(result) ~= 'string' then return result end
  local key, keys = typed[action], has_names and vim.keycode(result) or result
  return vim.startswith(keys, key) and vim.keycode(bare(action)) .. keys:sub(#key + 1) or keys
end

--- Changes `mapping`, a remappable `<expr>` mapping, so that it returns the result of `once`.
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

--- Types `key` as if we had not mapped it. `own` is the buffer's mapping that ours hides, if any; a global mapping is
--- looked up now, since it may be newer. The mapping is copied under a <Plug> name, and that name is typed.
function M.type(action, key, own)
  local mapping = own or M.find(api.nvim_get_keymap('i'), key)
  if not mapping then return api.nvim_feedkeys(vim.keycode(key), 'in', false) end
  typed[action] = vim.keycode(key)
  if mapping.expr == 1 and mapping.noremap == 0 then
    map_once(mapping, action, key)
  elseif vim.startswith(vim.keycode(mapping.rhs or ''), typed[action]) then
    mapping.noremap = 1 -- avoids endless recursion
  end
  local name = ('<Plug>(tinycopilot-not-%s)'):format(action)
  mapping.lhs, mapping.lhsraw, mapping.lhsrawalt = name, vim.keycode(name), nil
  vim.fn.mapset('i', false, mapping)
  api.nvim_feedkeys(vim.keycode(name), 'im', false)
end

return M
