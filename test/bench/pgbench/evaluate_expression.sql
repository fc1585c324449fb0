SELECT count(*) FROM bound.worker WHERE kin_tr.evaluate_expression('skills HAS "billing" AND level > 5', worker => attributes);
