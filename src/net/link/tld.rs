//! Top-level domains: which word after a dot makes a link of what stands before it.
//!
//! Here: the words X is known to link (every country's two letters, the generic and brand words
//! delegated when its list was last published, the ones in other scripts) and the look-up.
//! Not here: what a link looks like around its last word (`mod`), and what it weighs.
//!
//! The words are facts of the IANA root zone. A domain X knows and this list lacks is counted as
//! plain text, which errs low by at most 23 less the length of the domain; so the list is wide.

/// Where a top-level domain that starts a text ends, in bytes.
///
/// Latin letters and digits must end where the word does (`com`, not `comma`); a domain in
/// another script ends wherever its letters do, since those scripts set no spaces.
pub(super) fn end_at_start(text: &str) -> Option<usize> {
    let latin = text.bytes().take(LONGEST_ASCII + 1).take_while(u8::is_ascii_alphanumeric).count();
    if text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("xn--")) {
        return punycode_end(text);
    }
    match latin {
        0 => foreign_end(text),
        _ => text.get(..latin).filter(|word| is_known(word)).map(str::len),
    }
}

/// `xn--` and whatever may follow it: X takes every such word for a domain.
fn punycode_end(text: &str) -> Option<usize> {
    let end = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    (end > "xn--".len()).then_some(end)
}

/// The longest domain in another script that starts a text.
fn foreign_end(text: &str) -> Option<usize> {
    text.char_indices()
        .take(LONGEST_FOREIGN)
        .map(|(at, letter)| at + letter.len_utf8())
        .filter(|&end| text.get(..end).is_some_and(is_known))
        .last()
}

/// Whether a word, in any case, is a domain of the lists below.
pub(in crate::net) fn is_known(word: &str) -> bool {
    let word = word.to_lowercase();
    let lists = if word.is_ascii() { LATIN } else { FOREIGN };
    lists
        .iter()
        .filter(|(length, _)| *length == word.len())
        .any(|(length, words)| has(words, *length, word.as_bytes()))
}

/// Binary search in a list of sorted words that are all of one length, one space apart.
fn has(words: &str, length: usize, word: &[u8]) -> bool {
    let stride = length + 1;
    let (mut low, mut high) = (0, words.len().div_ceil(stride));
    while low < high {
        let middle = low.midpoint(high);
        let start = middle * stride;
        match words.as_bytes()[start..start + length].cmp(word) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    false
}

/// Bytes of the longest word of `LATIN`: a longer one need not be looked up.
const LONGEST_ASCII: usize = 24;

/// Characters of the longest word of `FOREIGN`.
const LONGEST_FOREIGN: usize = 12;

/// Words by their length in bytes, each list sorted, so that a look-up needs no set built at start.
const LATIN: &[(usize, &str)] = &[
    (
        2,
        "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm \
        bn bo bq br bs bt bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy \
        cz de dj dk dm do dz ec ee eg eh er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh \
        gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it \
        je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc \
        md me mf mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl \
        no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb \
        sc sd se sg sh si sj sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl \
        tm tn to tp tr tt tv tw tz ua ug uk um us uy uz va vc ve vg vi vn vu wf ws ye yt za \
        zm zw",
    ),
    (
        3,
        "abb abc aco ads aeg afl aig air anz aol app art aws axa bar bbc bbt bcg bcn bet bid \
        bio biz bms bmw bom boo bot box buy bzh cab cal cam car cat cba cbn cbs ceb ceo cfa \
        cfd com cpa crs csc dad day dds dev dhl diy dnp dog dot dtv dvr eat eco edu esq eus \
        fan fit fly foo fox frl ftr fun fyi gal gap gay gdn gea gle gmo gmx goo gop got gov \
        hbo hiv hkt hot how htc ibm ice icu ifm inc ing ink int ist itv jcb jcp jio jlc jll \
        jmp jnj jot joy kfh kia kim kpn krd lat law lds llc llp lol lpl ltd man map mba med \
        men meo mil mit mlb mls mma moe moi mom mov msd mtn mtr nab nba nec net new nfl ngo \
        nhk now nra nrw ntt nyc obi off one ong onl ooo org ott ovh pay pet phd pid pin pnc \
        pro pru pub pwc red ren ril rio rip run rwe sap sas sbi sbs sca scb ses sew sex sfr \
        ski sky soy spa srl stc tab tax tci tdk tel thd tjx top trv tui tvs ubs uno uol ups \
        vet vig vin vip war wed win wme wow wtc wtf xin xxx xyz you yun zip",
    ),
    (
        4,
        "able aero akdn ally amex arab army arpa arte asda asia audi auto baby band bank \
        bbva beer best bike bing blog blue bofa bond book buzz cafe call camp care cars \
        casa case cash cbre cern chat citi city club cool coop cyou data date dclk deal \
        dell desi diet dish docs doha duck dvag erni fage fail fans farm fast fiat fido \
        film fire fish flir food ford free fund game gbiz gent gift gmbh gold golf goog \
        guge guru hair haus hdfc help here hgtv host hsbc icbc ieee imdb immo info itau \
        java jeep jobs jprs kddi kids kiwi kpmg kred land lego lgbt lidl life like limo \
        link live loan love ltda luxe maif meet meme menu mini mint mobi moda moto mtpc \
        name navy news next nico nike ollo open page pars pccw pics ping pink play plus \
        pohl porn post prod prof qpon raid read reit rent rest rich rmit room rsvp ruhr \
        safe sale sarl save saxo scor scot seat seek sexy shaw shia shop show silk sina \
        site skin sncf sohu song sony spot star surf talk taxi team tech teva tiaa tips \
        town toys tube vana visa viva vivo vote voto wang weir wien wiki wine work xbox \
        yoga zara zero zone",
    ),
    (
        5,
        "actor adult amfam amica apple archi audio autos azure beats bible bingo black boats \
        boots bosch build canon cards chase cheap chloe cisco citic click cloud coach codes \
        crown cymru dabur dance deals delta dodge drive dubai earth edeka email epson faith \
        fedex final forex forum gallo games gifts glass globo gmail green gripe group gucci \
        guide homes honda horse hotel house hyatt ikano irish iveco jetzt koeln kyoto lamer \
        lease legal lexus lilly linde lipsy lixil loans locus lotte lotto lupin macys mango \
        media miami money mopar movie music nadex nexus nikon ninja nokia omega onion osaka \
        paris parts party phone photo pizza place poker praxi press prime promo quest radio \
        rehab reise ricoh rocks rodeo rugby salon sener seven sharp shell shoes skype sling \
        smart smile solar space sport stada store study style sucks swiss tatar tires tirol \
        today tokyo tools toray total tours trade trust tunes tushu ubank vegas video vista \
        vodka volvo wales watch weber weibo works world xerox yahoo zippo",
    ),
    (
        6,
        "abbott abbvie active africa agency airbus airtel alipay alsace anquan aramco author \
        bayern beauty berlin bharti bostik boston broker camera career caseih casino center \
        chrome church circle claims clinic coffee comsec condos coupon credit cruise dating \
        datsun dealer degree dental design direct doctor dunlop dupont durban energy estate \
        events expert family flickr futbol gallup garden george giving global google gratis \
        health hermes hiphop hockey hotels hughes imamat insure intuit jaguar joburg juegos \
        kaufen kinder kindle kosher latino lawyer lefrak living locker london luxury madrid \
        maison makeup market mattel mobile monash mormon moscow museum mutual nagoya natura \
        nissan nissay norton nowruz office online oracle orange otsuka pfizer photos physio \
        piaget pictet quebec racing realty reisen repair report review rocher rogers ryukyu \
        safety sakura sanofi school schule search secure select shouji soccer social stream \
        studio supply suzuki swatch sydney taipei taobao target tattoo tennis tienda tjmaxx \
        tkmaxx toyota travel unicom viajes viking villas virgin vision voting voyage vuelos \
        walter warman webcam xihuan xperia yachts yandex zappos",
    ),
    (
        7,
        "abogado academy agakhan alibaba android auction audible auspost avianca bauhaus \
        bentley bestbuy booking brother capital caravan careers channel charity chintai \
        citadel clubmed college cologne comcast company compare contact cooking corsica \
        country coupons courses cricket cruises dentist digital domains exposed express \
        farmers fashion ferrari ferrero finance fishing fitness flights florist flowers \
        forsale frogans fujitsu gallery genting godaddy grocery guitars hamburg hangout \
        hitachi holiday hosting hotmail hyundai ismaili jewelry juniper kitchen komatsu \
        lacaixa lanxess lasalle latrobe leclerc liaison limited lincoln markets metlife \
        monster netbank netflix network neustar okinawa organic origins philips pioneer \
        politie realtor recipes rentals reviews rexroth samsung sandvik schmidt schwarz \
        science shiksha shriram singles staples statoil storage support surgery systems \
        temasek theater theatre tickets tiffany toshiba trading walmart wanggou watches \
        weather website wedding whoswho windows winners xfinity yamaxun youtube zuerich",
    ),
    (
        8,
        "abudhabi airforce allstate attorney barclays barefoot bargains baseball boutique \
        bradesco broadway brussels budapest builders business capetown catering catholic \
        cipriani cleaning clinique clothing commbank computer delivery deloitte democrat \
        diamonds discount discover download engineer ericsson etisalat everbank exchange \
        feedback fidelity firmdale football frontier goodyear grainger graphics guardian \
        hdfcbank helsinki holdings hospital infiniti ipiranga istanbul jpmorgan lighting \
        lundbeck marriott maserati mckinsey memorial merckmsd mortgage observer partners \
        pharmacy pictures plumbing property redstone reliance saarland security services \
        shopping showtime softbank software stcgroup supplies symantec training uconnect \
        vanguard ventures verisign woodside yokohama",
    ),
    (
        9,
        "amsterdam analytics aquarelle barcelona bloomberg christmas community directory \
        education equipment fairwinds financial firestone fresenius furniture goldpoint \
        hisamitsu homedepot institute insurance kuokgroup lancaster landrover lifestyle \
        marketing melbourne microsoft panasonic passagens pramerica richardli scjohnson \
        shangrila solutions statebank statefarm stockholm travelers vacations yodobashi",
    ),
    (
        10,
        "accountant apartments associates basketball bnpparibas boehringer consulting \
        creditcard cuisinella eurovision extraspace foundation healthcare immobilien \
        industries management mitsubishi nationwide newholland properties protection \
        prudential realestate republican restaurant schaeffler tatamotors technology \
        telefonica university vistaprint vlaanderen volkswagen",
    ),
    (
        11,
        "accountants blackfriday blockbuster bridgestone contractors creditunion engineering \
        enterprises investments kerryhotels lamborghini motorcycles photography playstation \
        productions progressive williamhill",
    ),
    (12, "construction lplfinancial scholarships versicherung"),
    (13, "international lifeinsurance spreadbetting wolterskluwer"),
    (14, "bananarepublic weatherchannel"),
    (15, "kerryproperties sandvikcoromant"),
    (18, "northwesternmutual travelersinsurance"),
];

/// Words in other scripts, in NFC, by their length in bytes, each list sorted.
const FOREIGN: &[(usize, &str)] = &[
    (4, "ελ ευ бг ею рф"),
    (
        6,
        "бел ком мкд мон орг рус срб укр қаз հայ קום عرب قطر كوم مصر \
        გე コム 世界 中信 中国 中國 企业 佛山 信息 健康 八卦 公司 公益 台湾 台灣 商城 商店 商标 嘉里 在线 \
        大拿 娱乐 家電 广东 微博 慈善 手机 手表 招聘 政务 政府 新闻 时尚 書籍 机构 游戏 澳門 点看 珠宝 移动 \
        网址 网店 网站 网络 谷歌 购物 通販 集团 食品 餐厅 香港 닷넷 닷컴 삼성 한국",
    ),
    (8, "дети сайт بارت تونس شبكة عراق عمان موقع ڀارت"),
    (9, "कॉम नेट คอม ไทย ລາວ みんな ストア セール 中文网 天主教 我爱你 新加坡"),
    (10, "ישראל ایران بازار بھارت سودان سورية همراه"),
    (
        12,
        "москва онлайн الاردن المغرب امارات فلسطين مليسيا भारत ভারত \
        ਭਾਰਤ ભારત ଭାରତ ಭಾರತ ලංකා クラウド グーグル ポイント 组织机构",
    ),
    (14, "католик البحرين الجزائر پاکستان"),
    (15, "संगठन বাংলা భారత్ ഭാരതം 嘉里大酒店"),
    (16, "السعودية"),
    (18, "موريتانيا இலங்கை ファッション"),
    (21, "இந்தியா"),
    (33, "சிங்கப்பூர்"),
];

#[cfg(test)]
mod tests {
    use unicode_normalization::is_nfc;

    use super::*;

    #[test]
    fn lists_are_sorted_normal_and_of_one_length() {
        for (length, words) in LATIN.iter().chain(FOREIGN) {
            let words: Vec<&str> = words.split(' ').collect();
            assert!(words.is_sorted_by(|a, b| a < b), "not sorted: {words:?}");
            for word in words {
                assert_eq!(word.len(), *length, "{word}");
                assert!(is_nfc(word) && word.to_lowercase() == word, "{word}");
            }
        }
    }

    #[test]
    fn every_word_is_found_in_any_case() {
        for (_, words) in LATIN.iter().chain(FOREIGN) {
            for word in words.split(' ') {
                assert_eq!(end_at_start(word), Some(word.len()), "{word}");
                let loud = word.to_uppercase();
                assert_eq!(end_at_start(&loud), Some(loud.len()), "{loud}");
                assert!(word.len() <= LONGEST_ASCII || !word.is_ascii(), "{word}");
                assert!(word.chars().count() <= LONGEST_FOREIGN || word.is_ascii(), "{word}");
            }
        }
    }

    #[test]
    fn a_word_ends_where_its_script_says() {
        assert_eq!(end_at_start("com"), Some(3));
        assert_eq!(end_at_start("comma"), None);
        assert_eq!(end_at_start("com—then"), Some(3));
        assert_eq!(end_at_start("then"), None);
        assert_eq!(end_at_start("zz"), None);
        assert_eq!(end_at_start("中国人"), Some("中国".len()));
        assert_eq!(end_at_start("组织机构"), Some("组织机构".len()));
        assert_eq!(end_at_start("xn--p1ai/"), Some(8));
        assert_eq!(end_at_start("xn--"), None);
        assert_eq!(end_at_start(""), None);
    }
}
