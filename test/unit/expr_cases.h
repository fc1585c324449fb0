/*
 * expr_cases.h
 *		Expressions, what they give, and what is wrong with them, for expr_test.c.
 */
#ifndef KIN_TR_TEST_EXPR_CASES_H
#define KIN_TR_TEST_EXPR_CASES_H

#include "expr/expr.h"

#define SYNTAX_ERROR	2		/* beside 0 and 1, what a case may expect */

#define FILTER		KT_PLACE_FILTER
#define QUEUE		KT_PLACE_QUEUE
#define TARGET		KT_PLACE_TARGET
#define SKIP_IF		KT_PLACE_SKIP_IF
#define ANY_TASK	KT_PLACE_ANY_TASK
#define ANY_WORKER	KT_PLACE_ANY_WORKER

typedef struct Case
{
	int			number;			/* of a vector */
	KtExprPlace place;
	const char *text;
	const char *json;
	int			expected;
} Case;

#define WA1 "WA00000000000000000000000000000001"
#define WA2 "WA0000000000000000000000000000000f"

static const Case vectors[] = {
	{1, FILTER, "1 == 1", "{}", 1},
	{2, FILTER, "0 != 1", "{}", 1},
	{3, FILTER, "\"apple\" != \"orange\"", "{}", 1},
	{4, FILTER, "key > 1", "{\"key\":2}", 1},
	{5, FILTER, "key > 1", "{\"key\":1}", 0},
	{6, FILTER, "object.param != \"apple\"", "{\"object\":{\"param\":\"pear\"}}", 1},
	{7, FILTER, "language IN [\"en\", \"es\"]", "{\"language\":\"es\"}", 1},
	{8, FILTER, "language IN [\"en\", \"es\"]", "{\"language\":\"fr\"}", 0},
	{9, FILTER, "(condition_a == true) OR (condition_b == true)", "{\"condition_a\":false,\"condition_b\":true}", 1},
	{10, FILTER, "(language == \"en\" OR language == \"fr\") AND skill_rating >= 5.1", "{\"language\":\"fr\",\"skill_rating\":5.1}", 1},
	{11, FILTER, "(language == \"en\" OR language == \"fr\") AND skill_rating >= 5.1", "{\"language\":\"fr\",\"skill_rating\":5}", 0},
	{12, QUEUE, "(skills HAS 'support') AND (languages HAS 'english')", "{\"skills\":[\"support\",\"sales\"],\"languages\":[\"english\"]}", 1},
	{13, QUEUE, "(skills HAS 'support') AND (languages HAS 'english')", "{\"skills\":[\"sales\"],\"languages\":[\"spanish\",\"english\"]}", 0},
	{14, FILTER, "customer_value == 'Gold' AND type == 'ticket'", "{\"customer_value\":\"Gold\",\"type\":\"ticket\"}", 1},
	{15, FILTER, "object.array[2] == \"c\"", "{\"object\":{\"array\":[\"a\",\"b\",\"c\"]}}", 1},
	{16, FILTER, "object.attr == \"bar\"", "{\"object\":{\"attr\":\"bar\"}}", 1},
	{17, FILTER, "preferred_agents != null", "{}", 0},
	{18, FILTER, "preferred_agents != null", "{\"preferred_agents\":\"a1\"}", 1},
	{19, FILTER, "preferred_agents != null", "{\"preferred_agents\":[\"agent01\"]}", 1},
	{20, TARGET, "worker.id IN task.preferred_agents", "{\"task\":{\"preferred_agents\":[\"agent01\",\"agent04\"]},\"worker\":{\"id\":\"agent04\"}}", 1},
	{21, TARGET, "worker.id IN task.preferred_agents", "{\"task\":{},\"worker\":{\"id\":\"agent04\"}}", 0},
	{22, TARGET, "task.requested_agent==worker.agent_id", "{\"task\":{\"requested_agent\":\"g1\"},\"worker\":{\"agent_id\":\"g1\"}}", 1},
	{23, TARGET, "task.required_language IN worker.spoken_languages", "{\"task\":{\"required_language\":\"fr\"},\"worker\":{\"spoken_languages\":[\"en\",\"fr\"]}}", 1},
	{24, QUEUE, "level HAS \"support\"", "{\"level\":3}", 0},
	{25, FILTER, "skill-level > 3", "{}", SYNTAX_ERROR},
	{26, FILTER, "skills == \"support\"", "{\"skills\":[\"support\"]}", 0},
	{27, FILTER, "skills != \"support\"", "{\"skills\":[\"sales\"]}", 0},
	{28, FILTER, "department HAS \"billing\"", "{\"department\":\"billing\"}", 0},
	{29, FILTER, "language IN \"en\"", "{\"language\":\"en\"}", 0},
	{30, FILTER, "language NOT IN [\"en\"]", "{\"language\":\"fr\"}", 1},
	{31, FILTER, "language NOT IN [\"en\"]", "{\"language\":\"en\"}", 0},
	{32, FILTER, "language NOT IN [\"en\"]", "{}", 1},
	{33, FILTER, "name CONTAINS \"mit\"", "{\"name\":\"smith\"}", 1},
	{34, FILTER, "name CONTAINS \"x\"", "{\"name\":\"smith\"}", 0},
	{35, FILTER, "skills CONTAINS \"support\"", "{\"skills\":[\"support\"]}", 0},
	{36, FILTER, "type = 'x'", "{\"type\":\"x\"}", 1},
	{37, FILTER, "tech_support_skill > 5", "{\"tech_support_skill\":\"6\"}", 1},
	{38, FILTER, "tech_support_skill < 5", "{\"tech_support_skill\":5}", 0},
	{39, TARGET, "worker.activity_name in ['Generally Available']", "{\"worker\":{\"activity_name\":\"Generally Available\"}}", 1},
	{40, TARGET, "worker.channel.voice.available_capacity_percentage == 100", "{\"channel\":{\"voice\":{\"available_capacity_percentage\":100}}}", 1},
	{41, TARGET, "worker.channel.voice.available_capacity_percentage == 100", "{\"channel\":{\"voice\":{\"available_capacity_percentage\":0}}}", 0},
	{42, TARGET, "worker.channel.chat.assigned_tasks <= 1", "{\"channel\":{\"chat\":{\"assigned_tasks\":2}}}", 0},
	{43, SKIP_IF, "workers.available == 0", "{\"workers\":{\"available\":0}}", 1},
	{44, SKIP_IF, "workers." WA1 " < 2 OR workers." WA2 " < 2", "{\"workers\":{\"" WA1 "\":5,\"" WA2 "\":1}}", 1},
	{45, TARGET, "taskrouter.currentTime > 0800 AND taskrouter.currentTime < 1830", "{\"taskrouter\":{\"currentTime\":1200}}", 1},
	{46, TARGET, "taskrouter.currentHour > 8", "{\"taskrouter\":{\"currentHour\":\"09\"}}", 1},
	{47, TARGET, "taskrouter.dayOfWeek IN ['Mon','Tue']", "{\"taskrouter\":{\"dayOfWeek\":\"Tue\"}}", 1},
	{48, FILTER, "missing == \"x\"", "{}", 0},
	{49, FILTER, "missing > 1", "{}", 0},
	{50, FILTER, "missing == null", "{}", 1},
	{51, FILTER, "\"1\" == 1", "{}", 1},
	{52, FILTER, "a == 1 OR b == 1 AND c == 1", "{\"a\":1,\"b\":0,\"c\":0}", 1},
	{53, FILTER, "true == true", "{}", 1},
	{54, FILTER, "skills >- \"support\"", "{\"skills\":[\"support\"]}", 1},
	{55, FILTER, "language <- [\"en\"]", "{\"language\":\"en\"}", 1},
	{56, FILTER, "vip", "{\"vip\":true}", SYNTAX_ERROR},
	{57, FILTER, "a.b.c == 1", "{\"a\":{\"b\":3}}", 0},
	{58, FILTER, "arr[9] == \"x\"", "{\"arr\":[\"x\"]}", 0},
	{59, FILTER, "type == 'Sales", "{}", SYNTAX_ERROR},
	{60, FILTER, "(type == 'a'", "{\"type\":\"a\"}", SYNTAX_ERROR},
	{61, FILTER, "name == \"O'Neil\"", "{\"name\":\"O'Neil\"}", 1},
	{62, FILTER, "manual == 1 AND channel == \"chat\"", "{\"manual\":1,\"channel\":\"chat\"}", 1},
	{63, FILTER, "[1,2] HAS 2", "{}", 1},
	{64, FILTER, "numbers HAS 2", "{\"numbers\":[\"2\"]}", 0},
};

/* What the reference leaves open, as docs/expressions.md has it. */
static const Case choices[] = {
	/* keywords, signs, white space */
	{0, FILTER, "a==1 and(b==2 Or b==3)", "{\"a\":1,\"b\":3}", 1},
	{0, FILTER, "a HaS 1", "{\"a\":[1]}", 1},
	{0, FILTER, "a not in[1]", "{\"a\":2}", 1},
	{0, FILTER, "a contains 'B'", "{\"a\":\"abc\"}", 0},
	{0, FILTER, "a == TRUE AND b == False AND c == NULL", "{\"a\":true,\"b\":false}", 1},
	{0, FILTER, "\t1\r\n== 1 ", "{}", 1},
	{0, FILTER, "a . b [ 1 ] == 2", "{\"a\":{\"b\":[1,2]}}", 1},
	{0, FILTER, "a[00] == 1", "{\"a\":[1]}", 1},
	{0, FILTER, "$a_1.$ == 1", "{\"$a_1\":{\"$\":1}}", 1},
	{0, FILTER, "azAZ09 == 1", "{\"azAZ09\":1}", 1},
	{0, FILTER, "a == -1", "{\"a\":-1}", 1},
	{0, FILTER, "a == 1e-1 AND a == 0.01E+1 AND a == 0.01e1", "{\"a\":0.1}", 1},
	{0, FILTER, "a> -1 AND a>=-1 AND a!=-1 AND a=-0", "{\"a\":0}", 1},
	{0, FILTER, "a == 'say \"hi\"' AND b == 'C:\\'", "{\"b\":\"C:\\\"}", 0},
	{0, FILTER, "b == 'C:\\'", "{\"b\":\"C:\\\"}", 1},
	{0, FILTER, "a == ''", "{\"a\":\"\"}", 1},
	{0, FILTER, "(((1==1)))", "{}", 1},
	{0, FILTER, "1==2 OR (1==1 AND (2==2 AND 3==3) AND (1==2 OR (1==1)))", "{}", 1},
	{0, FILTER, "A == 1", "{\"a\":1}", 0},

	/* NULL */
	{0, FILTER, "a == null", "{\"a\":null}", 1},
	{0, FILTER, "a == null", "{\"a\":[]}", 0},
	{0, FILTER, "a == null", "{\"a\":{}}", 0},
	{0, FILTER, "a != null", "{\"a\":{}}", 1},
	{0, FILTER, "null != a", "{\"a\":false}", 1},
	{0, FILTER, "a == b", "{}", 1},
	{0, FILTER, "a != 'x'", "{}", 1},
	{0, FILTER, "a != b", "{\"a\":[1]}", 1},
	{0, FILTER, "a >= null", "{}", 0},
	{0, FILTER, "a <= 0", "{}", 0},
	{0, FILTER, "a IN ['x']", "{}", 0},
	{0, FILTER, "a IN ['x', null]", "{}", 1},
	{0, FILTER, "a NOT IN [null]", "{}", 0},
	{0, FILTER, "a HAS b", "{\"a\":[null]}", 1},
	{0, FILTER, "'x' NOT IN a", "{}", 0},
	{0, FILTER, "a CONTAINS ''", "{}", 0},
	{0, FILTER, "'' CONTAINS a", "{}", 0},

	/* types that differ */
	{0, FILTER, "a == b", "{\"a\":\"06\",\"b\":6}", 1},
	{0, FILTER, "a == b", "{\"a\":\"06\",\"b\":\"6\"}", 0},
	{0, FILTER, "a == '6.0'", "{\"a\":6}", 1},
	{0, FILTER, "a == ' 6'", "{\"a\":6}", 0},
	{0, FILTER, "a == 'six'", "{\"a\":6}", 0},
	{0, FILTER, "a != 'six'", "{\"a\":6}", 1},
	{0, FILTER, "a == 'true'", "{\"a\":true}", 0},
	{0, FILTER, "a != 'true'", "{\"a\":true}", 1},
	{0, FILTER, "a == 1", "{\"a\":true}", 0},
	{0, FILTER, "a > false", "{\"a\":true}", 0},
	{0, FILTER, "a >= true", "{\"a\":true}", 0},
	{0, FILTER, "a != false", "{\"a\":true}", 1},
	{0, FILTER, "a == b", "{\"a\":{},\"b\":{}}", 0},
	{0, FILTER, "a != b", "{\"a\":{},\"b\":1}", 0},
	{0, FILTER, "a == b", "{\"a\":[1],\"b\":[1]}", 0},
	{0, FILTER, "a != b", "{\"a\":[1],\"b\":[2]}", 0},
	{0, FILTER, "a > 5", "{\"a\":\"x6\"}", 0},
	{0, FILTER, "a < 5", "{\"a\":\"\"}", 0},
	{0, FILTER, "5 < a", "{\"a\":\"10\"}", 1},
	{0, FILTER, "a < '9'", "{\"a\":10}", 0},
	{0, FILTER, "a < '9'", "{\"a\":\"10\"}", 1},
	{0, FILTER, "a < 'b' AND 'a' < a AND 'Z' < a", "{\"a\":\"aa\"}", 1},
	{0, FILTER, "a > 'z'", "{\"a\":\"\xC3\xA4\"}", 1},
	{0, FILTER, "a <= 'a' AND a >= 'a'", "{\"a\":\"a\"}", 1},
	{0, FILTER, "a > 5", "{\"a\":[6]}", 0},

	/* arrays */
	{0, FILTER, "a HAS b", "{\"a\":[1],\"b\":[1]}", 0},
	{0, FILTER, "a IN b", "{\"a\":[1],\"b\":[1]}", 0},
	{0, FILTER, "a NOT IN b", "{\"a\":[1],\"b\":[2]}", 0},
	{0, FILTER, "a NOT IN b", "{\"a\":{},\"b\":[2]}", 0},
	{0, FILTER, "a NOT IN 'x'", "{\"a\":\"y\"}", 0},
	{0, FILTER, "a IN []", "{\"a\":1}", 0},
	{0, FILTER, "a NOT IN []", "{\"a\":1}", 1},
	{0, FILTER, "a HAS 1.50", "{\"a\":[\"x\",true,1.5]}", 1},
	{0, FILTER, "a HAS true", "{\"a\":[\"true\",1]}", 0},
	{0, FILTER, "2 IN a", "{\"a\":[\"2\"]}", 0},
	{0, FILTER, "a IN [b, 'x', c.d]", "{\"a\":3,\"c\":{\"d\":3}}", 1},
	{0, FILTER, "a NOT IN [b, c.d]", "{\"a\":3,\"b\":4}", 1},
	{0, FILTER, "a IN [b]", "{}", 1},
	{0, FILTER, "[b, 1] HAS a", "{\"a\":1}", 1},
	{0, FILTER, "[b, 1] == a", "{\"a\":1}", 0},
	{0, FILTER, "[b, 1] != null", "{}", 1},
	{0, FILTER, "[] != null", "{}", 1},
	{0, FILTER, "1 IN [[1], [b, 1]]", "{}", 0},
	{0, FILTER, "1 NOT IN [[1], [b, 1]]", "{}", 1},
	{0, FILTER, "a HAS 1", "{\"a\":[[1]]}", 0},

	/* CONTAINS */
	{0, FILTER, "a CONTAINS ''", "{\"a\":\"x\"}", 1},
	{0, FILTER, "a CONTAINS 'smithy'", "{\"a\":\"smith\"}", 0},
	{0, FILTER, "a CONTAINS 0800", "{\"a\":\"+310800123\"}", 1},
	{0, FILTER, "a CONTAINS 0800", "{\"a\":\"+31800123\"}", 0},
	{0, FILTER, "a CONTAINS 23", "{\"a\":12345}", 1},
	{0, FILTER, "'v1.5' CONTAINS a", "{\"a\":1.5}", 1},
	{0, FILTER, "100 CONTAINS '00'", "{}", 1},
	{0, FILTER, "007 CONTAINS '00'", "{}", 1},
	{0, FILTER, "a CONTAINS b", "{\"a\":-9223372036854775808,\"b\":-9223372036854775808}", 1},
	{0, FILTER, "a CONTAINS 'tru'", "{\"a\":true}", 0},
	{0, FILTER, "a CONTAINS 'x'", "{\"a\":{}}", 0},

	/* places */
	{0, FILTER, "task.a == 1 AND task == 2", "{\"a\":1,\"task\":2}", 1},
	{0, FILTER, "task[0] == 1 AND worker == 2 AND worker[0] == null", "{\"task\":[1],\"worker\":2}", 1},
	{0, FILTER, "task.task.x == 1", "{\"task\":{\"x\":1}}", 1},
	{0, FILTER, "task.in == 1 AND task.null == 2 AND a.or == 3", "{\"in\":1,\"null\":2,\"a\":{\"or\":3}}", 1},
	{0, FILTER, "workers.available == 1", "{\"workers\":{\"available\":1}}", 1},
	{0, QUEUE, "worker.a == 1 AND a == 1 AND task == 3", "{\"a\":1,\"task\":3}", 1},
	{0, QUEUE, "channel.voice.assigned_tasks == 1", "{\"channel\":{\"voice\":{\"assigned_tasks\":1}}}", 1},
	{0, QUEUE, "sid == 'WK1' AND friendly_name == 'Al'", "{\"sid\":\"WK1\",\"friendly_name\":\"Al\"}", 1},
	{0, TARGET, "worker.channel == 'x'", "{\"worker\":{\"channel\":\"x\"}}", 1},
	{0, TARGET, "worker.channel.voice == 1", "{\"worker\":{\"channel\":{\"voice\":1}}}", 1},
	{0, TARGET, "worker.channel[0].x.y == 1", "{\"worker\":{\"channel\":[{\"x\":{\"y\":1}}]}}", 1},
	{0, TARGET, "worker.channel.a.b.c == 1", "{\"worker\":{\"channel\":{\"a\":{\"b\":{\"c\":1}}}}}", 1},
	{0, TARGET, "worker.channel.in.configured_capacity == 3", "{\"channel\":{\"in\":{\"configured_capacity\":3}}}", 1},
	{0, TARGET, "1==1", "{}", 1},
	{0, SKIP_IF, "1==1", "{}", 1},
	{0, SKIP_IF, "workers.unavailable > 1 AND taskrouter.currentMin == 5", "{\"workers\":{\"unavailable\":2},\"taskrouter\":{\"currentMin\":\"05\"}}", 1},
	{0, ANY_TASK, "a == 1 AND worker.a == 2 AND workers.available == 3 AND worker.channel.v.assigned_tasks == 4 AND task == 5", "{\"task\":{\"a\":1,\"task\":5},\"worker\":{\"a\":2},\"workers\":{\"available\":3},\"channel\":{\"v\":{\"assigned_tasks\":4}}}", 1},
	{0, ANY_WORKER, "a == 2 AND task.a == 1 AND taskrouter.dayOfWeek == 'Mon' AND worker == 5", "{\"task\":{\"a\":1},\"worker\":{\"a\":2,\"worker\":5},\"taskrouter\":{\"dayOfWeek\":\"Mon\"}}", 1},

	/* numbers keep every digit */
	{0, FILTER, "id == 9007199254740993", "{\"id\":9007199254740992}", 0},
	{0, FILTER, "id == 9007199254740993", "{\"id\":\"9007199254740993\"}", 1},
	{0, FILTER, "id == 12345678901234567890123", "{\"id\":12345678901234567890123.0}", 1},
	{0, FILTER, "id < 1e400", "{\"id\":99999999999999999999}", 1},
};

typedef struct ErrorCase
{
	KtExprPlace place;
	const char *text;
	uint32_t	position;
	const char *message;
	const char *hint;			/* how it begins */
} ErrorCase;

#define HYPHEN	"An attribute with a hyphen"
#define BARE	"A condition compares two values; for an attribute"
#define TIME	"taskrouter has currentTime, currentHour, currentMin and dayOfWeek."
#define SKIPS	"It reads workers.available, workers.unavailable, workers.<activity sid> and "
#define FORTY	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const ErrorCase errors[] = {
	{FILTER, "", 0, "expression is empty", ""},
	{FILTER, " \t\n", 0, "expression is empty", ""},
	{FILTER, "vip", 3, "expected an operator, found the end", BARE},
	{FILTER, "vip AND x == 1", 4, "expected an operator, found \"AND\"", BARE},
	{FILTER, "(vip)", 4, "expected an operator, found \")\"", BARE},
	{FILTER, "true", 4, "expected an operator, found the end", "A condition compares"},
	{FILTER, "x y", 2, "expected an operator, found \"y\"", ""},
	{FILTER, "x is null", 2, "expected an operator, found \"is\"", "Write == null or != null."},
	{FILTER, "x LIKE 'y%'", 2, "expected an operator, found \"LIKE\"", "There are no patterns"},
	{FILTER, "x between 1 and 2", 2, "expected an operator, found \"between\"", "Write two conditions"},
	{FILTER, "skill-level > 3", 5, "hyphen in name \"skill-level\"", HYPHEN},
	{FILTER, "a.skill-2 > 3", 7, "hyphen in name \"skill-2\"", HYPHEN},
	{TARGET, "worker.channel.my-chat.assigned_tasks == 1", 17, "hyphen in name \"my-chat\"", HYPHEN},
	{FILTER, "a -b", 2, "unexpected character \"-\"", "A minus sign"},
	{FILTER, "a == - 1", 5, "unexpected character \"-\"", "A minus sign"},
	{FILTER, "a == 1 -1", 7, "expected AND, OR or the end, found \"-1\"", ""},
	{FILTER, "a == 1 + 1", 7, "unexpected character \"+\"", "Expressions do no arithmetic."},
	{FILTER, "level>-5", 5, "\">-\" directly before a digit is ambiguous", "Write \"> -\" to compare with a negative number, or HAS."},
	{FILTER, "level <-5", 6, "\"<-\" directly before a digit is ambiguous", "Write \"< -\" to compare with a negative number, or IN."},
	{FILTER, "type == 'Sales", 8, "unterminated string 'Sales", "A string ends"},
	{FILTER, "a == 'b' AND c == \"d'", 18, "unterminated string \"d'", "A string ends"},
	{FILTER, "(type == 'a'", 12, "expected AND, OR or \")\", found the end", ""},
	{FILTER, "type == 'a')", 11, "expected AND, OR or the end, found \")\"", ""},
	{FILTER, "()", 1, "expected a value, found \")\"", ""},
	{FILTER, "a ==", 4, "expected a value, found the end", ""},
	{FILTER, "a == (1)", 5, "expected a value, found \"(\"", ""},
	{FILTER, "(1) == 1", 2, "expected an operator, found \")\"", ""},
	{FILTER, "1 < a < 3", 6, "expected AND, OR or the end, found \"<\"", ""},
	{FILTER, "a == 'O'Neil'", 8, "expected AND, OR or the end, found \"Neil\"", ""},
	{FILTER, "a 'x y'", 2, "expected an operator, found string \"x y\"", ""},
	{FILTER, "a IN [1, ]", 9, "expected a value, found \"]\"", ""},
	{FILTER, "a IN [1 2]", 8, "expected \",\" or \"]\", found \"2\"", ""},
	{FILTER, "a IN [1", 7, "expected \",\" or \"]\", found the end", ""},
	{FILTER, "a IN [,]", 6, "expected a value, found \",\"", ""},
	{FILTER, "a NOT == 1", 6, "expected IN behind NOT, found \"==\"", ""},
	{FILTER, "NOT a == 1", 0, "expected a condition, found \"NOT\"", "Only != and NOT IN negate."},
	{FILTER, "!a == 1", 0, "unexpected character \"!\"", "Only != and NOT IN negate."},
	{FILTER, "AND a == 1", 0, "expected a value, found \"AND\"", "An attribute of this name is written task.AND."},
	{QUEUE, "in == 1", 0, "expected a value, found \"in\"", "An attribute of this name is written worker.in."},
	{TARGET, "in == 1", 0, "expected a value, found \"in\"", ""},
	{FILTER, "a && b", 2, "unknown operator \"&&\"", "Write AND."},
	{FILTER, "a == 1 || b == 1", 7, "unknown operator \"||\"", "Write OR."},
	{FILTER, "a <> 1", 2, "unknown operator \"<>\"", "Write !=."},
	{FILTER, "a === 1", 2, "unknown operator \"===\"", "Write ==."},
	{FILTER, "a => 1", 2, "unknown operator \"=>\"", "Write >=."},
	{FILTER, "a.5 == 1", 2, "expected a name, found \"5\"", ""},
	{FILTER, "a. == 1", 3, "expected a name, found \"==\"", ""},
	{FILTER, "a[] == 1", 2, "expected an array index, found \"]\"", ""},
	{FILTER, "a[-1] == 1", 2, "expected an array index, found \"-1\"", ""},
	{FILTER, "a[1.0] == 1", 2, "expected an array index, found \"1.0\"", ""},
	{FILTER, "a[b] == 1", 2, "expected an array index, found \"b\"", ""},
	{FILTER, "a['b'] == 1", 2, "expected an array index, found string \"b\"", ""},
	{FILTER, "a[1 == 1", 4, "expected \"]\", found \"==\"", ""},
	{FILTER, "a[2147483648] == 1", 2, "array index \"2147483648\" is out of range", ""},
	{FILTER, "a[99999999999999999999] == 1", 2, "array index \"99999999999999999999\" is out of range", ""},
	{FILTER, "[1][0] == 1", 3, "expected an operator, found \"[\"", ""},
	{FILTER, "a == 5x", 5, "malformed number \"5x\"", ""},
	{FILTER, "a == 1.", 5, "malformed number \"1.\"", ""},
	{FILTER, "a == 1.2.3", 5, "malformed number \"1.2.3\"", ""},
	{FILTER, "a == 1e", 5, "malformed number \"1e\"", ""},
	{FILTER, "a == 0x1F", 5, "malformed number \"0x1F\"", ""},
	{FILTER, "a == .5", 5, "expected a value, found \".\"", ""},
	{FILTER, "a == 1e999999999999999999", 5, "number \"1e999999999999999999\" is out of range", ""},
	{FILTER, "a == 1 AND @", 11, "unexpected character \"@\"", ""},
	{FILTER, "a IN [1, @]", 9, "unexpected character \"@\"", ""},
	{FILTER, "a NOT @", 6, "unexpected character \"@\"", ""},
	{FILTER, "a == 1; b", 6, "unexpected character \";\"", ""},
	{FILTER, "gr\xC3\xB6\xC3\x9F" "e == 1", 2, "unexpected character \"\xC3\xB6\"", "A name has letters"},
	{FILTER, "a == \xE2\x80\x9Cx\xE2\x80\x9D", 5, "unexpected character \"\xE2\x80\x9C\"", "Use straight quotes"},
	{FILTER, "a\xC2\xA0== 1", 1, "unexpected character \"\xC2\xA0\"", "It is a no-break space"},
	{FILTER, "a \xFF 1", 2, "unexpected character \"?\"", "A name has letters"},
	{FILTER, "a \x01 1", 2, "control character 0x01", ""},
	{FILTER, "a == 'x\x1By'", 7, "control character 0x1B", ""},
	{FILTER, "a == \x7F", 5, "control character 0x7F", ""},

	/* names cut at 40 bytes, and never inside a character */
	{TARGET, FORTY " == 1", 0, "name \"" FORTY "\" needs a prefix", "In a target's expression write task." FORTY " or worker." FORTY "."},
	{TARGET, FORTY "b == 1", 0, "name \"" FORTY "...\" needs a prefix", "In a target's expression write task." FORTY "... or worker." FORTY "...."},
	{FILTER, "a 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xE2\x82\xAC'", 2, "expected an operator, found string \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"", ""},
	{FILTER, "a 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xE2\x82\xAC'", 2, "expected an operator, found string \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xE2\x82\xAC\"", ""},

	/* places */
	{FILTER, "a == 1 AND worker.x == 1", 11, "name \"worker.x\" cannot be used in a filter's expression", "A filter chooses by the task alone"},
	{QUEUE, "task.x == 1", 0, "name \"task.x\" cannot be used in a queue's expression", "A queue's workers cannot depend on"},
	{QUEUE, "taskrouter.currentHour == 1", 0, "name \"taskrouter.currentHour\" cannot be used in a queue's expression", "A queue's workers cannot depend on"},
	{QUEUE, "worker.channel.voice.assigned_tasks == 1", 0, "name \"worker.channel.voice.assigned_tasks\" cannot be used in a queue's expression", "A queue's workers cannot depend on"},
	{FILTER, "taskrouter.hour == 1", 0, "unknown name \"taskrouter.hour\"", TIME},
	{FILTER, "taskrouter.currentHour.x == 1", 0, "unknown name \"taskrouter.currentHour.x\"", TIME},
	{SKIP_IF, "taskrouter.currenthour == 1", 0, "unknown name \"taskrouter.currenthour\"", TIME},
	{TARGET, "x == 1", 0, "name \"x\" needs a prefix", "In a target's expression write task.x or worker.x."},
	{TARGET, "1 == a . b[2]", 5, "name \"a . b[2]\" needs a prefix", "In a target's expression write task.a . b[2] or"},
	{TARGET, "task == 1", 0, "name \"task\" lacks an attribute", "Write the attribute's name behind it: task.x or worker.x."},
	{TARGET, "worker[0] == 1", 0, "name \"worker[0]\" lacks an attribute", "Write the attribute's name"},
	{TARGET, "taskrouter == 1", 0, "name \"taskrouter\" needs a prefix", "In a target's"},
	{TARGET, "workers.available == 1", 0, "name \"workers.available\" cannot be used in a target's expression", "How many workers"},
	{TARGET, "worker.channel.voice.capacity == 1", 0, "unknown counter of a channel in \"worker.channel.voice.capacity\"", "A channel has configured_capacity, assigned_tasks and available_capacity_percentage."},
	{SKIP_IF, "available == 1", 0, "name \"available\" cannot be used in skip_if", SKIPS},
	{SKIP_IF, "task.x == 1", 0, "name \"task.x\" cannot be used in skip_if", SKIPS},
	{SKIP_IF, "workers == 1", 0, "name \"workers\" cannot be used in skip_if", SKIPS},
	{SKIP_IF, "workers.busy == 1", 0, "unknown name \"workers.busy\"", "workers has available, unavailable and the sid of each activity."},
	{SKIP_IF, "workers.WA01 == 1", 0, "unknown name \"workers.WA01\"", "workers has"},
	{SKIP_IF, "workers.WAg0000000000000000000000000000001 == 1", 0, "unknown name \"workers.WAg00000000000000000000000000000...\"", "workers has"},
	{SKIP_IF, "workers.available.x == 1", 0, "unknown name \"workers.available.x\"", "workers has"},
	{ANY_TASK, "workers.busy == 1", 0, "unknown name \"workers.busy\"", "workers has"},
};

#endif							/* KIN_TR_TEST_EXPR_CASES_H */
