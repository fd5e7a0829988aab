// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#include <algorithm>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include <toml++/toml.h>

#include "config-reader.h"

namespace
{

struct drop {
	void operator()(json_t *json) const
	{
		json_decref(json);
	}
};
using json_ptr = std::unique_ptr<json_t, drop>;

/* A dotted key nests a table for each dot, without a limit in toml++ 3.3, and tables are
 * released recursively. No machine has more than a few. */
constexpr size_t dots_max = 100;

class walk
{
      public:
	explicit walk(config_place *wanted) : place(wanted)
	{
	}

	json_ptr convert(const toml::node &node, const toml::source_position &at)
	{
		if (number++ == place->number)
			set_place(*place, at);
		if (const auto *table = node.as_table())
			return convert_table(*table);
		if (const auto *array = node.as_array())
			return convert_array(*array);
		if (const auto *text = node.as_string())
			return json_ptr(
			    json_stringn(text->get().data(), text->get().size()));
		if (const auto *integer = node.as_integer())
			return json_ptr(json_integer(integer->get()));
		if (const auto *boolean = node.as_boolean())
			return json_ptr(json_boolean(boolean->get()));
		return json_ptr(json_null()); /* no option is a date or a fraction */
	}

	static void set_place(config_place &place, const toml::source_position &at)
	{
		place.line = std::max(1u, static_cast<unsigned int>(at.line));
		place.column = std::max(1u, static_cast<unsigned int>(at.column));
	}

      private:
	json_ptr convert_table(const toml::table &table)
	{
		json_ptr object(json_object());

		for (const auto &[key, value] : table) {
			std::string name(key.str());

			std::replace(name.begin(), name.end(), '\0', '?');
			if (json_object_set_new(
				object.get(), name.c_str(),
				convert(value, key.source().begin).release()) < 0)
				throw std::bad_alloc();
		}
		return object;
	}

	json_ptr convert_array(const toml::array &array)
	{
		json_ptr list(json_array());

		for (const auto &value : array) {
			if (json_array_append_new(
				list.get(),
				convert(value, value.source().begin).release()) < 0)
				throw std::bad_alloc();
		}
		return list;
	}

	config_place *place;
	size_t number = 0;
};

void set_problem(config_place &place, std::string_view text)
{
	std::snprintf(
	    place.problem, sizeof(place.problem), "%.*s",
	    static_cast<int>(std::min<size_t>(text.size(), sizeof(place.problem))),
	    text.data());
}

bool is_deep(std::string_view text, config_place &place)
{
	unsigned int line = 1;
	size_t dots = 0;

	for (char c : text) {
		dots = c == '\n' ? 0 : dots + (c == '.');
		line += c == '\n';
		if (dots <= dots_max)
			continue;
		walk::set_place(place, { line, 1 });
		set_problem(place, "more than 100 dots in a line");
		return true;
	}
	return false;
}

} // namespace

extern "C" json_t *config_read_toml(const char *text, size_t len, config_place *place)
try {
	if (is_deep({ text, len }, *place))
		return nullptr;
	toml::table root = toml::parse(std::string_view(text, len));

	return walk(place).convert(root, root.source().begin).release();
} catch (const toml::parse_error &error) {
	walk::set_place(*place, error.source().begin);
	set_problem(*place, error.description());
	return nullptr;
} catch (const std::exception &error) {
	set_problem(*place, error.what());
	return nullptr;
}
